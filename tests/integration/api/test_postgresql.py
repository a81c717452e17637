"""Fresh positions from real servers: a primary and a standby, each with a REST process beside it."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hacore.model.cluster import Member
from hacore.model.node import Role
from hacore.observe.peers import HttpPeers
from hacore.postgres.connection import Connection
from hacore.testing.ports import free_port
from hacore.testing.servers import locate
from hacore.testing.workdir import server_user, work_directory
from tests.integration.api.rest import Rest, wait_until
from tests.unit.api.samples import PRIMARY, STANDBY
from tests.unit.observe.test_peers import CTL


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running PostgreSQL."""

    data_dir: Path
    port: int

    @property
    def pid(self) -> int:
        return int((self.data_dir / "postmaster.pid").read_text().splitlines()[0])

    def query(self, sql: str) -> list[tuple[object, ...]]:
        connection = Connection({"host": "127.0.0.1", "port": str(self.port), "user": "postgres", "dbname": "postgres"})
        with contextlib.closing(connection):
            return connection.query(sql, timeout_s=20.0)


def run(*argv: str | Path) -> None:
    subprocess.run(
        [str(one) for one in argv], check=True, capture_output=True, user=server_user(), group=server_user(), extra_groups=[], timeout=60
    )


@contextlib.contextmanager
def started(data_dir: Path, port: int) -> Iterator[Server]:
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={data_dir.parent} -c fsync=off"
    pg_ctl = locate("postgresql").program("pg_ctl")
    run(pg_ctl, "-D", data_dir, "-w", "-l", data_dir.parent / f"{data_dir.name}.log", "-o", options, "start")
    try:
        yield Server(data_dir=data_dir, port=port)
    finally:
        run(pg_ctl, "-D", data_dir, "-m", "immediate", "stop")


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Server, Server]]:
    """Return a primary and a standby that streams from it."""
    found = locate("postgresql")
    with work_directory() as work, contextlib.ExitStack() as stack:
        first, second = work.path / "a", work.path / "b"
        run(found.program("initdb"), "-D", first, "-U", "postgres", "-A", "trust", "--no-sync")
        primary = stack.enter_context(started(first, free_port()))
        source = f"host=127.0.0.1 port={primary.port} user=postgres application_name=b"
        run(found.program("pg_basebackup"), "-D", second, "-d", source, "-R", "-X", "stream", "--checkpoint=fast", "--no-sync")
        standby = stack.enter_context(started(second, free_port()))
        wait_until(lambda: bool(primary.query("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'")))
        yield primary, standby


@contextlib.contextmanager
def beside(server: Server, directory: Path) -> Iterator[Rest]:
    rest = Rest(directory)
    address = f"127.0.0.1:{server.port}"
    rest.postgresql = {"listen": address, "connect_address": address, "data_dir": str(server.data_dir)}
    with contextlib.closing(rest):
        rest.start()
        yield rest


@pytest.fixture(scope="module")
def primary(servers: tuple[Server, Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Rest]]:
    with beside(servers[0], tmp_path_factory.mktemp("primary")) as rest:
        yield servers[0], rest


@pytest.fixture(scope="module")
def standby(servers: tuple[Server, Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Rest]]:
    with beside(servers[1], tmp_path_factory.mktemp("standby")) as rest:
        yield servers[1], rest


def location(server: Server) -> int:
    return int(str(server.query("SELECT pg_current_wal_flush_lsn() - '0/0'")[0][0]))


def write(server: Server) -> int:
    server.query("SELECT pg_logical_emit_message(true, 'test', repeat('x', 1000))")
    return location(server)


def test_a_primary_tells_its_position_as_of_now(primary: tuple[Server, Rest]) -> None:
    server, rest = primary
    rest.show(replace(PRIMARY, location=1), lease_s=600.0)
    before = write(server)
    time.sleep(0.11)
    found = rest.get("/patroni").document
    assert before <= found["xlog"]["location"] <= location(server)
    assert (found["state"], found["role"], found["timeline"]) == ("running", "primary", 1)
    assert found["server_version"] == server.query("SELECT current_setting('server_version_num')::int")[0][0]
    assert found["replication"][0]["application_name"] == "b"
    assert set(found["replication"][0]) == {"usename", "application_name", "client_addr", "state", "sync_state", "sync_priority"}
    started_at = server.query("SELECT to_char(pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')")[0][0]
    assert found["postmaster_start_time"] == f"{started_at}+00:00"


def test_a_standby_tells_what_it_has_received_and_replayed(primary: tuple[Server, Rest], standby: tuple[Server, Rest]) -> None:
    server, rest = standby
    rest.show(STANDBY)
    target = write(primary[0])
    wait_until(lambda: rest.get("/patroni").document["xlog"]["replayed_location"] >= target)
    found = rest.get("/patroni").document
    assert found["role"] == "replica"
    assert found["replication_state"] == "streaming"
    assert found["timeline"] == 1
    assert found["xlog"]["received_location"] >= target
    assert found["xlog"]["paused"] is False
    assert found["hacore"]["durable_lsn"] >= target
    server.query("SELECT pg_wal_replay_pause()")
    wait_until(lambda: rest.get("/patroni").document["xlog"]["paused"] is True)
    server.query("SELECT pg_wal_replay_resume()")


def test_a_lag_check_rests_on_the_position_of_now(primary: tuple[Server, Rest], standby: tuple[Server, Rest]) -> None:
    server, rest = standby
    optime = location(primary[0])
    rest.show(replace(STANDBY, optime=optime, replayed=1, received=1))
    wait_until(lambda: rest.get("/replica?lag=0").status == 200 or write(primary[0]) == 0)
    assert rest.get("/readiness").status == 200
    server.query("SELECT pg_wal_replay_pause()")
    replayed = rest.get("/patroni").document["xlog"]["replayed_location"]
    rest.show(replace(STANDBY, optime=replayed + 5000))
    time.sleep(0.11)
    assert rest.get("/replica?lag=4kB").status == 503
    assert rest.get("/replica?lag=5000").status == 200
    assert rest.get("/replica").status == 200
    assert rest.get("/readiness?lag=100").status == 503
    server.query("SELECT pg_wal_replay_resume()")


def test_other_members_understand_what_it_tells(primary: tuple[Server, Rest], standby: tuple[Server, Rest]) -> None:
    primary[1].show(PRIMARY, lease_s=600.0)
    standby[1].show(replace(STANDBY, name="b"))  # an answer that bears another name would count as none
    members = [
        Member(name=name, api_url=f"http://127.0.0.1:{rest.port}/patroni") for name, (_, rest) in {"a": primary, "b": standby}.items()
    ]
    first, second = HttpPeers(CTL).ask(members, timeout_s=10.0)
    assert (first.role, second.role) == (Role.PRIMARY, Role.STANDBY)
    assert first.lsn is not None
    assert second.lsn is not None
    assert (first.timeline, second.timeline, first.is_hacore) == (1, 1, True)


def test_many_who_ask_at_once_share_one_session(primary: tuple[Server, Rest]) -> None:
    server, rest = primary
    rest.show(PRIMARY, lease_s=600.0)
    failed: list[int] = []

    def client() -> None:
        for _ in range(20):
            answer = rest.get("/patroni")
            if answer.status != 200 or "xlog" not in answer.document:
                failed.append(answer.status)

    clients = [threading.Thread(target=client) for _ in range(10)]
    for one in clients:
        one.start()
    sessions = server.query("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hacore restapi'")[0][0]
    for one in clients:
        one.join()
    assert failed == []
    assert sessions == 1


def test_metrics_show_what_the_server_says(primary: tuple[Server, Rest]) -> None:
    server, rest = primary
    rest.show(PRIMARY, lease_s=600.0)
    text = rest.get("/metrics").text
    assert 'patroni_primary{name="a",scope="demo"} 1.0' in text
    value = float(next(line for line in text.splitlines() if line.startswith("patroni_xlog_location{")).rpartition(" ")[2])
    assert 0 < value <= location(server)


def test_a_server_that_hangs_costs_the_status_its_positions_and_the_checks_nothing(standby: tuple[Server, Rest]) -> None:
    server, rest = standby
    rest.show(STANDBY)
    assert "xlog" in rest.get("/patroni").document
    pid = server.query("SELECT pid FROM pg_stat_activity WHERE application_name = 'hacore restapi'")[0][0]
    assert isinstance(pid, int)
    stopped = (pid, server.pid)
    for one in stopped:
        os.kill(one, signal.SIGSTOP)
    try:
        time.sleep(0.11)
        began = time.monotonic()
        found = rest.get("/patroni")
        assert time.monotonic() - began < 1.95
        assert (found.status, found.document["state"]) == (200, "unknown")
        assert "xlog" not in found.document
        slow = threading.Thread(target=rest.get, args=("/patroni",))
        slow.start()
        for _ in range(50):
            began = time.monotonic()
            assert rest.ask("OPTIONS", "/replica").status == 200
            assert time.monotonic() - began < 0.5
        slow.join()
        assert rest.get("/replica?lag=1GB").status == 503
    finally:
        for one in stopped:
            os.kill(one, signal.SIGCONT)
    wait_until(lambda: "xlog" in rest.get("/patroni").document)


def test_a_session_that_the_server_ended_is_opened_again(primary: tuple[Server, Rest]) -> None:
    server, rest = primary
    rest.show(PRIMARY, lease_s=600.0)
    assert "xlog" in rest.get("/patroni").document
    server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hacore restapi'")
    time.sleep(0.11)
    assert "xlog" in rest.get("/patroni").document


def test_while_the_agent_says_that_nothing_runs_there_are_no_positions(primary: tuple[Server, Rest]) -> None:
    _, rest = primary
    rest.show(replace(PRIMARY, state="stopped", role="demoted", running=False))
    found = rest.get("/patroni").document
    assert (found["state"], found["role"], "xlog" in found) == ("stopped", "demoted", False)


def test_beside_a_silent_agent_the_server_itself_is_still_heard(primary: tuple[Server, Rest]) -> None:
    _, rest = primary
    rest.show(replace(PRIMARY, role="replica"), age_s=31.0)
    time.sleep(0.11)
    found = rest.get("/patroni").document
    assert (found["state"], found["role"], found["hacore"]["refuses_election"]) == ("running", "primary", "its agent is silent")
    assert found["xlog"]["location"] > 0
    assert rest.get("/primary").status == 503
