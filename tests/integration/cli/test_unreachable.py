"""A cluster of which only the store is left: nobody listens at the addresses of its members."""

import json
import signal
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hacore.hookspecs import OpenDcs, PluginContext
from hacore.interfaces import AcquireRequest, Dcs, Put, Record, ReleaseRequest, WriteRequest
from hacore.model.clock import BootClock
from hacore.plugins.dcs import open_dcs
from hacore.plugins.finding import find
from hacore.plugins.registry import Registry, Wanted
from hacore.plugins.schemas import schema_of
from hacore.records.failover import failover_json
from hacore.testing.ports import Ports
from hacore.testing.waiting import wait_for
from tests.integration.cli.command import PROGRAM, Command

LEADER, OTHER = "n1", "n2"
TABLE = "+ Cluster: demo "


def session(path: Path, registry: Registry, name: str) -> Dcs:
    schema = schema_of(find("dcs", "sqlite"))
    assert schema is not None
    registry.update([Wanted(kind="dcs", name="sqlite", settings=schema().load({"path": str(path)}))])
    context = PluginContext(scope="demo", namespace="/service", member=name, clock=BootClock())
    return open_dcs(registry.of_kind("dcs")[0], OpenDcs(context=context))


def record(port: int, role: str) -> str:
    addresses = {"conn_url": "postgres://127.0.0.1:5432/postgres", "api_url": f"http://127.0.0.1:{port}/patroni"}
    return json.dumps({**addresses, "state": "running", "role": role, "version": "4.1.5", "timeline": 1, "xlog_location": 100})


@pytest.fixture
def members(tmp_path: Path) -> Iterator[tuple[Dcs, Dcs]]:
    """The sessions of the leader and of the other."""
    path = tmp_path / "store.db"
    registries = [Registry(), Registry()]
    with Ports() as ports:
        first, second = (session(path, registry, name) for registry, name in zip(registries, (LEADER, OTHER), strict=True))
        first.publish(record(ports.take(), "primary"), ttl_s=120, timeout_s=5)
        second.publish(record(ports.take(), "replica"), ttl_s=120, timeout_s=5)
        first.acquire(AcquireRequest(ttl_s=120), timeout_s=5)
        puts = (Put(name="initialize", value="7298374655123456789"), Put(name="config", value='{"ttl":30}'))
        first.write(WriteRequest(puts=puts), timeout_s=5)
        yield first, second
        for dcs, registry in ((first, registries[0]), (second, registries[1])):
            dcs.close()
            registry.close()


@pytest.fixture
def hacore(members: tuple[Dcs, Dcs], tmp_path: Path) -> Command:
    config = tmp_path / "client.yml"
    config.write_text(f"scope: demo\nsqlite: {{path: {tmp_path / 'store.db'}}}\n")
    return Command(config)


class Breaking(socketserver.ThreadingTCPServer):
    """Takes each request and ends the connection without an answer."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.then: Callable[[], object] = lambda: None
        super().__init__(("127.0.0.1", 0), Taking)
        self.port: int = self.server_address[1]


class Taking(socketserver.StreamRequestHandler):
    server: Breaking

    def handle(self) -> None:
        self.server.taken.append(self.request.recv(65536).decode().partition(" HTTP/")[0])
        self.server.then()


@pytest.fixture
def breaking() -> Iterator[Breaking]:
    with Breaking() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def wish(leader: Dcs) -> Record | None:
    return leader.snapshot(timeout_s=5).records.get("failover")


def test_a_switchover_that_a_member_took_without_an_answer_is_not_wished_for_again(
    hacore: Command, members: tuple[Dcs, Dcs], breaking: Breaking
) -> None:
    leader, _ = members
    leader.publish(record(breaking.port, "primary"), ttl_s=120, timeout_s=5)
    said = hacore("switchover", "--candidate", OTHER, "--force")
    assert said.code == 1
    assert "Switchover status unknown, see hacore list" in said.err
    assert said.err.endswith(f"no wish stands in the store, {LEADER} leads\n")
    assert (breaking.taken, wish(leader)) == (["POST /switchover"], None)
    put = Put(name="failover", value=failover_json(LEADER, OTHER))
    breaking.then = lambda: leader.write(WriteRequest(puts=(put,)), timeout_s=5)
    said = hacore("switchover", "--candidate", OTHER, "--force")
    assert said.code == 1
    assert said.err.endswith(f"the wish stands in the store, {LEADER} leads\n")
    stands = wish(leader)
    assert stands is not None
    assert stands.value == put.value


def test_a_failover_goes_past_a_leader_that_takes_requests_and_answers_none(
    hacore: Command, members: tuple[Dcs, Dcs], breaking: Breaking
) -> None:
    leader, other = members
    for session_of, role in ((leader, "primary"), (other, "replica")):
        session_of.publish(record(breaking.port, role), ttl_s=120, timeout_s=5)
    put = Put(name="failover", value=failover_json(None, OTHER))
    breaking.then = lambda: leader.write(WriteRequest(puts=(put,)), timeout_s=5) if len(breaking.taken) > 1 else None
    said = hacore("failover", "--candidate", OTHER, "--force")
    assert f"nothing has come of it, {OTHER} is asked" in said.err
    assert breaking.taken == ["POST /failover", "POST /failover"]
    assert (said.code, said.err.endswith(f"the wish stands in the store, {LEADER} leads\n")) == (1, True)


def test_a_restart_whose_end_is_not_known_is_the_last_of_the_round(hacore: Command, members: tuple[Dcs, Dcs], breaking: Breaking) -> None:
    for session_of, role in zip(members, ("primary", "replica"), strict=True):
        session_of.publish(record(breaking.port, role), ttl_s=120, timeout_s=5)
    said = hacore("restart", "demo", "--force")
    assert said.code == 1
    assert f"Failed: restart for member {OTHER}, status code=0" in said.err
    assert f"so not restarted: {LEADER};" in said.err
    assert breaking.taken == ["POST /restart"]


def test_a_switchover_is_written_to_the_store_instead_and_can_be_taken_back(hacore: Command) -> None:
    said = hacore("switchover", "--candidate", OTHER, "--scheduled", "2999-01-01T00:00Z", "--force").done()
    assert "the wish is written to the store" in said.err
    assert "Switchover stands in the store" in said.out
    assert "                   from: n1\n                     to: n2\n" in hacore("list").done().out
    again = hacore("switchover", "--candidate", OTHER, "--force")
    assert (again.code, again.err.splitlines()[-1]) == (1, "Error: another switchover or failover stands in the store already")
    assert hacore("flush", "switchover").done().out == "Success: scheduled switchover deleted in the store\n"
    assert "Switchover" not in hacore("list").done().out


def test_a_failover_is_given_again_where_nobody_leads(hacore: Command, members: tuple[Dcs, Dcs]) -> None:
    """As ``explain`` asks for where the wish that stands may be from before the loss of one that was left unfenced."""
    leader, _ = members
    hacore("failover", "--candidate", OTHER, "--force").done()
    assert hacore("failover", "--candidate", OTHER, "--force").code == 1  # somebody leads, and will look at it
    first = wish(leader)
    lock = leader.snapshot(timeout_s=5).lock
    assert lock is not None
    leader.release(ReleaseRequest(lock=lock), timeout_s=5)
    hacore("failover", "--candidate", OTHER, "--force").done()
    again = wish(leader)
    assert first is not None
    assert again is not None
    assert (again.value, again.version > first.version) == (first.value, True)
    leader.write(WriteRequest(puts=(Put(name="failover", value=failover_json(None, LEADER)),)), timeout_s=5)
    said = hacore("failover", "--candidate", OTHER, "--force")
    assert (said.code, said.err.splitlines()[-1]) == (1, "Error: another switchover or failover stands in the store already")


def test_what_only_a_member_can_do_fails_and_names_it(hacore: Command) -> None:
    for words in (("restart", "demo"), ("reload", "demo"), ("reinit", "demo", OTHER)):
        said = hacore(*words, "--force")
        assert (said.code, said.out) == (1, "")
        assert f"for member {OTHER}, status code=0, (http://127.0.0.1:" in said.err
        assert "Connection refused" in said.err


class Recreating(BaseHTTPRequestHandler):
    """A standby that is asked to be created again, and tells of itself what it is told to, at last for good."""

    answer: tuple[int, str]
    told: list[dict[str, object]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._say(*self.answer)

    def do_GET(self) -> None:
        self._say(200, json.dumps(self.told.pop(0) if len(self.told) > 1 else self.told[0]))

    def _say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


def standby(started: str, **wish: object) -> dict[str, object]:
    own = {"reason": "waits until n1 is primary", **({"reinitialize": {"id": "i", **wish}} if wish else {})}
    return {"state": "running", "hacore": own, "postmaster_start_time": started}


BEFORE, WAITS = standby("1"), standby("1", state="goes on")


@pytest.mark.parametrize(
    ("end", "code", "said_last"),
    [
        (standby("2", state="done"), 0, f"Success: reinitialize for member {OTHER}\n"),
        (standby("2"), 1, "(it runs with its old data, reinitialize was given up: its log says why)\n"),
        (standby("2", state="failed", error="no"), 1, f"{OTHER}, status code=503, (it runs with its old data: no)\n"),
        (WAITS, 1, f"{OTHER}, status code=503, (not done within 3 s: running (waits until n1 is primary))\n"),
    ],
)
def test_a_standby_is_waited_for_until_it_has_been_created_again(
    end: dict[str, object], code: int, said_last: str, hacore: Command, members: tuple[Dcs, Dcs]
) -> None:
    waiting = (202, "reinitialize waits: waits until n1 is primary")
    script = {"answer": waiting, "told": [BEFORE, WAITS, end]}
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Scripted", (Recreating,), script)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        members[1].publish(record(server.server_port, "replica"), ttl_s=120, timeout_s=5)
        said = hacore("reinit", "demo", OTHER, "--force", "--wait", "--timeout", "3")
        server.shutdown()
    assert said.code == code
    assert (said.err if code else said.out).endswith(said_last)
    assert f"on {OTHER}: running (waits until n1 is primary)\n" in said.err


def test_a_pause_that_nobody_takes_is_a_failure(hacore: Command) -> None:
    said = hacore("pause")
    assert (said.code, said.out) == (1, "")
    assert f"Warning: {LEADER} cannot be asked" in said.err
    assert said.err.endswith("Error: no member of the cluster can be asked\n")


def test_members_that_do_not_answer_are_said_to_be_so(hacore: Command) -> None:
    said = hacore("version", "demo").done().out.splitlines()
    assert said[1].startswith(f"{LEADER}: failed to get version: http://127.0.0.1:")
    found = hacore("explain", "-f", "json").done().json
    assert all("Connection refused" in one["reason"] for one in found["members"])
    assert [one["member"] for one in found["failover"]] == [OTHER]


def test_the_dynamic_configuration_can_be_changed_all_the_same(hacore: Command) -> None:
    hacore("edit-config", "-s", "ttl=40", "--force").done()
    assert hacore("show-config", "-f", "json").done().json == {"ttl": 40}


def test_a_record_of_a_member_that_cannot_be_read_is_said_below_the_list(hacore: Command, tmp_path: Path) -> None:
    registry = Registry()
    broken = session(tmp_path / "store.db", registry, "n3")
    broken.publish("{", ttl_s=120, timeout_s=5)
    assert "Records that cannot be read: members/n3" in hacore("list").done().out
    broken.close()
    registry.close()


def test_who_watches_goes_on_watching_while_the_store_does_not_answer(hacore: Command, tmp_path: Path) -> None:
    store, aside = tmp_path / "store.db", tmp_path / "aside.db"
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("w") as said, err.open("w") as failed:
        watching = subprocess.Popen([*PROGRAM, "-c", str(hacore.config), "list", "-w", "0.1"], stdout=said, stderr=failed)
    try:
        wait_for(lambda: TABLE in out.read_text(), "the table is shown")
        store.rename(aside)
        store.mkdir()
        wait_for(lambda: err.read_text().startswith("Error: "), "it is said that the store does not answer")
        store.rmdir()
        aside.rename(store)
        before = out.read_text().count(TABLE)
        wait_for(lambda: out.read_text().count(TABLE) > before, "the table is shown again")
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 0
    finally:
        watching.kill()
        watching.wait()
