"""The service of a member, at a real agent."""

import contextlib
import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from hacore.interfaces import Dcs
from hacore.model.clock import BootClock
from hacore.testing.conformance.store import CALL_S, EVENTUALLY_S, eventually, request_for
from hacore.testing.consul import Consul
from hacore_dcs_consul.client import Client
from hacore_dcs_consul.plugin import ConsulPlugin
from hacore_dcs_consul.service import Registrar, Service, service_name
from hacore_dcs_consul.settings import ConsulSettings

TTL_S = 30.0
SCOPE = "my_App.1"


class RestServer(BaseHTTPRequestHandler):
    """What answers 200 for one role, as the REST server of a node does."""

    role = "replica"

    def do_GET(self) -> None:
        self.send_response(200 if self.path == f"/{type(self).role}" else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class PaperAgent:
    """Takes what it is told, but for what fails first."""

    def __init__(self, *failures: Exception) -> None:
        self.told: queue.Queue[Any] = queue.Queue()
        self._failures = list(failures)

    def put(self, path: str, body: object, *, until: float, repeatable: bool) -> None:
        assert (path, repeatable) == ("agent/service/register", True)
        if self._failures:
            raise self._failures.pop(0)
        self.told.put(body)

    def close(self) -> None:
        """There is nothing to close."""


@contextlib.contextmanager
def registering(agent: PaperAgent) -> Iterator[Registrar]:
    service = Service(scope=SCOPE, member="n1", settings=ConsulSettings(endpoints=("http://127.0.0.1:9",), register_service=True))
    with contextlib.closing(Registrar(service, cast("Client", agent), BootClock())) as registrar:
        yield registrar


@pytest.fixture
def rest() -> Iterator[str]:
    RestServer.role = "replica"
    with ThreadingHTTPServer(("127.0.0.1", 0), RestServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/patroni"
        server.shutdown()


@pytest.fixture
def consul(scratch: Path) -> Iterator[Consul]:
    with Consul(scratch) as server:
        yield server


@contextlib.contextmanager
def opened(consul: Consul, *, on: bool = True) -> Iterator[Dcs]:
    settings = ConsulSettings(endpoints=(consul.servers[0].url,), register_service=on, service_tags=("blue",), service_check_interval="1s")
    with contextlib.closing(ConsulPlugin(settings).hacore_open_dcs(request_for(SCOPE, "n1"))) as session:
        yield session


def publish(session: Dcs, rest: str, *, role: str = "replica", state: str = "running", port: int = 5432) -> None:
    session.publish(record(rest, role=role, state=state, port=port), ttl_s=TTL_S, timeout_s=CALL_S)


def record(rest: str, *, role: str = "replica", state: str = "running", port: int = 5432) -> str:
    return json.dumps({"role": role, "state": state, "conn_url": f"postgres://127.0.0.1:{port}/postgres", "api_url": rest})


def found(consul: Consul) -> dict[str, Any] | None:
    return dict(consul.ask("agent/services")).get(f"{SCOPE}/n1")


def passing(consul: Consul, tag: str) -> list[int]:
    """The ports of the instances that are well, as DNS and load balancers see them."""
    return [one["Service"]["Port"] for one in consul.ask(f"health/service/my-app-1?passing&tag={tag}")]


def test_a_running_member_is_registered_with_its_role_and_the_check_of_it(consul: Consul, rest: str) -> None:
    with opened(consul) as session:
        publish(session, rest)
        eventually(lambda: found(consul) is not None)
        service = found(consul) or {}
        assert (service["Service"], service["Address"], service["Port"]) == ("my-app-1", "127.0.0.1", 5432)
        assert (service["Tags"], service["EnableTagOverride"]) == (["blue", "replica"], True)
        [check] = [one for one in consul.ask("agent/checks").values() if one["ServiceID"] == f"{SCOPE}/n1"]
        definition = check["Definition"]
        assert check["Interval"] == "1s"
        assert definition == {} or definition["HTTP"].endswith("/replica")
        eventually(lambda: passing(consul, "replica") == [5432])


def test_the_tags_and_the_check_follow_the_role(consul: Consul, rest: str) -> None:
    with opened(consul) as session:
        publish(session, rest)
        eventually(lambda: passing(consul, "replica") == [5432])
        RestServer.role = "primary"
        publish(session, rest, role="primary")
        eventually(lambda: passing(consul, "primary") == passing(consul, "master") == [5432])
        assert passing(consul, "replica") == []
        RestServer.role = "standby-leader"
        publish(session, rest, role="standby_leader", port=5433)
        eventually(lambda: passing(consul, "standby-leader") == [5433])
        assert passing(consul, "primary") == []


def test_a_role_that_was_lost_without_our_doing_shows_by_the_check(consul: Consul, rest: str) -> None:
    with opened(consul) as session:
        RestServer.role = "primary"
        publish(session, rest, role="primary")
        eventually(lambda: passing(consul, "primary") == [5432])
        RestServer.role = "replica"
        eventually(lambda: passing(consul, "primary") == [])


def test_a_member_that_stops_is_taken_away_and_one_that_only_restarts_is_not(consul: Consul, rest: str) -> None:
    with opened(consul) as session:
        publish(session, rest)
        eventually(lambda: found(consul) is not None)
        for state in ("restarting", "starting"):
            publish(session, rest, state=state)
        publish(session, rest, port=5433)
        eventually(lambda: (found(consul) or {}).get("Port") == 5433)
        publish(session, rest, state="stopped")
        eventually(lambda: found(consul) is None)


def test_a_member_that_withdraws_is_taken_away(consul: Consul, rest: str) -> None:
    with opened(consul) as session:
        publish(session, rest)
        eventually(lambda: found(consul) is not None)
        session.withdraw(timeout_s=CALL_S)
    assert found(consul) is None


def test_an_agent_that_has_forgotten_the_service_is_told_again(consul: Consul, rest: str) -> None:
    settings = ConsulSettings(endpoints=(consul.servers[0].url,), register_service=True)
    clock = BootClock()
    registrar = Registrar(Service(scope=SCOPE, member="n1", settings=settings), Client(settings, clock), clock, again_s=1.0)
    with contextlib.closing(registrar):
        registrar.want(record(rest), ttl_s=TTL_S)
        eventually(lambda: found(consul) is not None)
        consul.empty()
        eventually(lambda: found(consul) is not None)


def test_switching_the_feature_off_takes_the_service_away(consul: Consul, rest: str) -> None:
    with opened(consul) as session:
        publish(session, rest)
        eventually(lambda: found(consul) is not None)
    assert found(consul) is not None, "an agent that ends without withdrawing leaves the service to its check"
    with opened(consul, on=False) as session:
        publish(session, rest)
        eventually(lambda: found(consul) is None)


def test_an_agent_that_does_not_answer_holds_up_no_publishing(consul: Consul, rest: str) -> None:
    settings = ConsulSettings(endpoints=("http://127.0.0.1:9", consul.servers[0].url), register_service=True)
    with contextlib.closing(ConsulPlugin(settings).hacore_open_dcs(request_for(SCOPE, "n1"))) as session:
        publish(session, rest)
        assert set(session.snapshot(timeout_s=CALL_S).members) == {"n1"}
        assert found(consul) is None, "only the agent of this machine may have the service"


def test_an_error_that_nobody_has_heard_of_is_followed_by_another_attempt() -> None:
    agent = PaperAgent(RuntimeError("can't start new thread"))
    with registering(agent) as registrar:
        registrar.want(record("http://127.0.0.1:9"), ttl_s=TTL_S)
        assert agent.told.get(timeout=EVENTUALLY_S)["Tags"] == ["replica"]


def test_a_registrar_that_cannot_begin_begins_with_the_next_record_though_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    agent = PaperAgent()
    with registering(agent) as registrar:
        with monkeypatch.context() as full:
            full.setattr(threading.Thread, "start", fails)
            registrar.want(record("http://127.0.0.1:9"), ttl_s=TTL_S)
        registrar.want(record("http://127.0.0.1:9"), ttl_s=TTL_S)
        assert agent.told.get(timeout=EVENTUALLY_S)["Tags"] == ["replica"]


@pytest.mark.parametrize(
    ("scope", "name"),
    [("demo", "demo"), ("My_App.1 b", "my-app-1-b"), ("a/b", "au0047b"), ("Zürich", "zu0252rich"), ("x" * 300, "x" * 230)],
)
def test_the_name_of_a_service_is_one_for_dns(scope: str, name: str) -> None:
    assert service_name(scope) == name


def test_what_is_registered_follows_from_record_and_settings() -> None:
    settings = ConsulSettings(endpoints=("http://127.0.0.1:8500",), register_service=True, service_check_tls_server_name="db.example")
    service = Service(scope="demo", member="n1", settings=settings)
    primary = {
        "role": "primary",
        "state": "running",
        "conn_url": "postgres://10.0.0.1:5433/postgres",
        "api_url": "https://10.0.0.1:8008/patroni",
    }
    wanted = service.registration(primary, 30.0)
    assert wanted is not None
    assert wanted["Check"] == {
        "HTTP": "https://10.0.0.1:8008/primary",
        "Interval": "5s",
        "DeregisterCriticalServiceAfter": "150s",
        "TLSServerName": "db.example",
    }
    assert (wanted["ID"], wanted["Tags"]) == ("demo/n1", ["master", "primary"])
    assert service.registration({**primary, "role": "uninitialized"}, 30.0) is None
