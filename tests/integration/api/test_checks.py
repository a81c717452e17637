"""Health checks over real connections: from the shared memory, in the wire format of the field."""

import time
from dataclasses import replace

import pytest

from tests.integration.api.rest import Rest, now, wait_until
from tests.unit.api.samples import PRIMARY, STANDBY

HERE = replace(PRIMARY, state="running", next_run=0.0)


def test_a_proxy_sees_only_a_status_line(rest: Rest) -> None:
    rest.show(lease_s=60.0)
    for method in ("HEAD", "OPTIONS"):
        assert rest.ask(method, "/primary").raw == b"HTTP/1.0 200 OK\r\n\r\n"
        assert rest.ask(method, "/replica").raw == b"HTTP/1.0 503 Service Unavailable\r\n\r\n"
        assert rest.ask(method, "/cluster").raw == b"HTTP/1.0 503 Service Unavailable\r\n\r\n"
        assert rest.ask(method, "/liveness").raw == b"HTTP/1.0 503 Service Unavailable\r\n\r\n"
    rest.show(replace(PRIMARY, next_run=now()), lease_s=60.0)
    assert rest.get("/liveness").raw == b"HTTP/1.0 200 OK\r\n\r\n"
    assert rest.get("/readiness").raw == b"HTTP/1.0 200 OK\r\n\r\n"
    assert rest.send(b"OPTIONS /primary HTTP/1.0\r\n\r\n").raw == b"HTTP/1.0 200 OK\r\n\r\n"


def test_a_person_sees_the_status_whatever_the_code(rest: Rest) -> None:
    rest.show(lease_s=60.0)
    good, bad = rest.get("/primary"), rest.get("/replica")
    assert (good.status, bad.status) == (200, 503)
    assert good.raw.startswith(b"HTTP/1.0 200 OK\r\nServer: gunicorn\r\nDate: ")
    assert good.headers["content-type"] == "application/json"
    assert good.headers["content-length"] == str(len(good.body))
    assert good.document == bad.document
    assert good.document["patroni"]["name"] == "a"


@pytest.mark.parametrize("path", ["/primary", "/leader", "/read-write", "/read-only", "/"])
def test_the_leader_s_checks_end_with_the_lease_though_nobody_writes(rest: Rest, path: str) -> None:
    ends_at = now() + 0.6
    rest.writer.write(PRIMARY, written_at=now(), lease_fence_at=ends_at)
    statuses = []
    while now() < ends_at + 0.2:
        before = now()
        status = rest.ask("OPTIONS", path).status
        statuses.append(status)
        assert status == (200 if now() < ends_at else 503 if before >= ends_at else status)
    assert {200, 503} == set(statuses)


def test_a_renewal_keeps_the_leader_s_checks_passing(rest: Rest) -> None:
    rest.show(lease_s=0.3)
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        rest.writer.renew(now() + 0.3)
        assert rest.ask("OPTIONS", "/primary").status == 200
    rest.writer.renew(None)
    assert rest.ask("OPTIONS", "/primary").status == 503


def test_a_picture_older_than_ttl_is_no_basis_for_any_yes(rest: Rest) -> None:
    for picture in (PRIMARY, STANDBY):
        rest.show(replace(picture, next_run=now()), lease_s=60.0, age_s=31.0)
        for path in ("/", "/primary", "/leader", "/replica", "/read-only", "/async", "/health", "/readiness"):
            assert rest.get(path).status == 503
        assert rest.get("/liveness").status == 200
        for path in ("/patroni", "/primary", "/replica?lag=1"):
            found = rest.get(path).document
            assert (found["state"], found["role"], found["patroni"]["name"]) == ("unknown", "unknown", "a")
            assert "tags" not in found


def test_before_the_agent_s_first_turn_nothing_passes_but_liveness(fresh: Rest) -> None:
    assert fresh.get("/primary").status == 503
    assert fresh.get("/health").status == 503
    assert fresh.get("/liveness").status == 200
    found = fresh.get("/patroni")
    assert (found.status, found.document["state"]) == (200, "unknown")
    assert fresh.get("/metrics").status == 200


def test_parameters_are_read_as_in_the_field(rest: Rest) -> None:
    rest.show(STANDBY)
    assert rest.get("/replica?tag_zone=x").status == 200
    assert rest.get("/replica?tag_zone=x&tag_zone=y").status == 200
    assert rest.get("/replica?tag_zone=y&tag_zone=x").status == 503
    assert rest.get("/replica?tag_zone=%78").status == 200
    assert rest.get("/rep%6cica").status == 200
    assert rest.get("/replica?" + "&".join(f"x{i}=1" for i in range(100))).status == 200
    assert rest.get("/replica/anything/else").status == 200


@pytest.mark.parametrize(
    "target", ["*", "/%ff", "/%00", "//", "/../primary", "http://x/nonsense", "/" + "a/" * 500, "/{rest}", "/%7Brest%7D"]
)
def test_an_odd_path_is_only_a_check_that_does_not_pass(rest: Rest, target: str) -> None:
    rest.show(STANDBY)
    for method in ("GET", "OPTIONS"):
        assert rest.ask(method, target).status in {400, 503}


def test_a_node_that_follows_a_lag_check_without_a_server_is_not_counted_on(rest: Rest) -> None:
    rest.show(STANDBY)
    assert rest.get("/replica").status == 200
    answer = rest.get("/replica?lag=1GB")
    assert (answer.status, answer.document["state"]) == (503, "unknown")
    wait_until(lambda: rest.ask("HEAD", "/replica").status == 200)


def test_metrics_are_text(rest: Rest) -> None:
    rest.show(lease_s=60.0)
    found = rest.get("/metrics")
    assert found.headers["content-type"].startswith("text/plain")
    assert 'patroni_cluster_unlocked{name="a",scope="demo"} 0.0' in found.text


def test_extra_headers_and_a_shy_server_are_configured(fresh: Rest) -> None:
    fresh.show()
    fresh.reload(http_extra_headers={"X-Frame-Options": "DENY"}, server_tokens="productonly")
    wait_until(lambda: fresh.get("/health").headers.get("server") == "hacore")
    assert fresh.get("/health").headers["x-frame-options"] == "DENY"
    assert "x-frame-options" not in fresh.get("/liveness").headers
