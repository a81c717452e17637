"""Commands from the wire to the agent's socket and back, and who may give them."""

import base64
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from hacore.control.server import ControlServer
from hacore.control.wire import Reply
from hacore.model.lease import Lock
from tests.integration.api.conftest import MakeRest
from tests.integration.api.rest import Rest, wait_until
from tests.unit.api.samples import PRIMARY
from tests.unit.control.samples import ScriptedLoop, scene

LATER = "2030-01-01T13:00:00+00:00"


@pytest.fixture
def commanded(rest: Rest) -> tuple[Rest, ScriptedLoop]:
    context, loop, _ = scene()
    rest.show(PRIMARY, lease_s=600.0)
    rest.serve_agent(context)
    return rest, loop


def test_documents_come_from_the_agent(commanded: tuple[Rest, ScriptedLoop]) -> None:
    rest, _ = commanded
    assert [one["role"] for one in rest.get("/cluster").document["members"]] == ["leader", "replica", "replica"]
    assert rest.get("/cluster/anything").document["scope"] == "demo"
    assert rest.get("/history").document == []
    config = rest.get("/config")
    assert config.text == '{"ttl": 30, "postgresql": {"parameters": {"max_connections": 100}}, "loop_wait": 10}'
    assert config.headers["content-type"] == "application/json"
    assert rest.get("/failsafe").status == 502
    assert rest.ask("POST", "/failsafe", {"name": "a"}).status == 502


def test_the_configuration_is_patched_and_replaced(commanded: tuple[Rest, ScriptedLoop]) -> None:
    rest, loop = commanded
    assert rest.ask("PATCH", "/config", {"ttl": 40, "loop_wait": None}).document["ttl"] == 40
    assert json.loads(loop.dcs.value("config") or "") == {"ttl": 40, "postgresql": {"parameters": {"max_connections": 100}}}
    assert rest.ask("PATCH", "/config", {"ttl": "soon"}).status == 400
    assert "warning" not in rest.ask("PUT", "/config", {"ttl": 50}).headers
    assert rest.get("/config").document == {"ttl": 50}


def test_a_value_that_members_will_not_use_is_stored_and_said(commanded: tuple[Rest, ScriptedLoop]) -> None:
    rest, _ = commanded
    answer = rest.ask("PATCH", "/config", {"postgresql": {"parameters": {"max_connections": "many"}}})
    assert answer.status == 200
    assert answer.headers["warning"].startswith('199 hacore "postgresql.parameters.max_connections: found')


def test_a_switchover_is_carried_through(commanded: tuple[Rest, ScriptedLoop]) -> None:
    rest, loop = commanded

    def hand_over(one: ScriptedLoop) -> None:
        one.dcs.lock = Lock(holder="b", instance="2")

    loop.script = [lambda _: None, hand_over]
    answer = rest.ask("POST", "/switchover", {"leader": "a", "candidate": "b"})
    assert (answer.status, answer.text) == (200, 'Successfully switched over to "b"')
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("POST", "/switchover", {"leader": "b"}, 412, "leader name does not match"),
        ("POST", "/failover", {"candidate": "z"}, 412, "candidate does not exists"),
        ("POST", "/switchover", {"leader": "a", "candidate": "b", "scheduled_at": LATER}, 202, "Switchover scheduled"),
        ("DELETE", "/switchover", None, 404, "no switchover is scheduled"),
        ("DELETE", "/restart", None, 404, "no restarts are scheduled"),
        ("POST", "/restart", {"role": "replica"}, 503, "restart conditions are not satisfied"),
        ("POST", "/restart", {"unknown": 1}, 400, None),
        ("POST", "/restart", {"schedule": LATER}, 202, "Restart scheduled"),
        ("POST", "/reload", None, 202, "reload scheduled"),
        ("POST", "/reinitialize", {"force": True}, 503, "I am the leader, can not reinitialize"),
    ],
)
def test_a_command_is_answered_with_the_field_s_code_and_text(
    commanded: tuple[Rest, ScriptedLoop], method: str, path: str, body: object, status: int, text: str | None
) -> None:
    answer = commanded[0].ask(method, path, body)
    assert (answer.status, text or answer.text) == (status, answer.text)


def test_a_restart_needs_no_body(commanded: tuple[Rest, ScriptedLoop]) -> None:
    rest, loop = commanded
    loop.answer_all = (True, "")
    assert rest.ask("POST", "/restart").text == "restarted successfully"
    assert rest.ask("POST", "/restart", {}).text == "restarted successfully"


def test_without_an_agent_checks_go_on_and_commands_are_unavailable(rest: Rest) -> None:
    rest.show(PRIMARY, lease_s=600.0)
    for path in ("/cluster", "/history", "/config"):
        assert rest.get(path).status == 503
    assert rest.ask("POST", "/restart").status == 503
    assert rest.ask("POST", "/switchover", {"leader": "a"}).status == 503
    assert rest.ask("OPTIONS", "/primary").status == 200


def test_commands_that_take_long_keep_neither_checks_nor_documents_waiting(rest: Rest) -> None:
    rest.show(PRIMARY, lease_s=600.0)
    go = threading.Event()

    def answer(request: object) -> Reply:
        if isinstance(request, dict) and request["op"] == "restart":
            assert go.wait(30.0)
        return Reply(status=200, text="done", document=None)

    rest.agent = ControlServer(rest.directory / "agent.sock", answer)
    rest.agent.start()
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(rest.ask, "POST", "/restart") for _ in range(8)]
        began = time.monotonic()
        for _ in range(20):
            assert rest.ask("OPTIONS", "/primary").status == 200
            assert rest.get("/cluster").status == 200
            assert rest.get("/patroni").status == 200
        assert time.monotonic() - began < 10.0
        go.set()
        assert [one.result(30.0).status for one in waiting] == [200] * 8


@pytest.mark.parametrize("path", ["/cluster", "/cl%75ster", "//cluster", "/%63luster/x", "/./cluster"])
def test_no_way_to_write_a_path_makes_checks_wait_for_the_agent(rest: Rest, path: str) -> None:
    rest.show(PRIMARY, lease_s=600.0)
    go = threading.Event()
    rest.agent = ControlServer(rest.directory / "agent.sock", lambda _: Reply(status=200 if go.wait(30.0) else 500, text="done"))
    rest.agent.start()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(rest.get, path)
        began = time.monotonic()
        for _ in range(20):
            assert rest.ask("OPTIONS", "/primary").status == 200
        assert time.monotonic() - began < 5.0
        go.set()
        assert waiting.result(30.0).status in {200, 503}


def test_who_may_change_anything_is_checked_before_the_body_is_looked_at(make_rest: MakeRest) -> None:
    rest = make_rest(authentication={"username": "admin", "password": "secret"}, allowlist=["127.0.0.1"])
    rest.start()
    context, _, _ = scene()
    rest.show(PRIMARY, lease_s=600.0)
    rest.serve_agent(context)
    refused = rest.ask("POST", "/switchover", b"nonsense")
    assert (refused.status, refused.text) == (401, "no auth header received")
    assert refused.headers["www-authenticate"] == 'Basic realm="Patroni"'
    wrong = rest.ask("POST", "/reload", headers={"Authorization": f"Basic {base64.b64encode(b'admin:x').decode()}"})
    assert (wrong.status, wrong.text) == (401, "not authenticated")
    right = rest.ask("POST", "/reload", headers={"Authorization": f"Basic {base64.b64encode(b'admin:secret').decode()}"})
    assert right.status == 202
    assert rest.get("/cluster").status == 200
    rest.reload(allowlist=["10.0.0.1"])
    wait_until(lambda: rest.ask("POST", "/reload").status == 403)
    denied = rest.ask("POST", "/reload")
    assert denied.text == "Access is denied"
    assert rest.ask("OPTIONS", "/primary").status == 200


def test_members_are_listed_by_their_addresses(make_rest: MakeRest) -> None:
    rest = make_rest(allowlist_include_members=True)
    rest.start()
    context, _, _ = scene()
    rest.serve_agent(context)
    rest.show(replace(PRIMARY, member_hosts=("10.0.0.1",)))
    assert rest.ask("POST", "/reload").status == 403
    rest.show(replace(PRIMARY, member_hosts=("10.0.0.1", "127.0.0.1")))
    assert rest.ask("POST", "/reload").status == 202
