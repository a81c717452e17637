"""The history checker on real PostgreSQL servers."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hacore.testing.history import Session, WriteLoad, boot_s
from hacore.testing.ports import free_port
from hacore.testing.servers import locate
from hacore.testing.workdir import give_away, server_user

USER = server_user()


@dataclass
class BarePostgres:
    """One PostgreSQL that nobody looks after."""

    directory: Path
    port: int

    @property
    def dsn(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"

    def run(self, program: str, *arguments: str) -> None:
        path = locate("postgresql").program(program)
        subprocess.run([str(path), *arguments], check=True, cwd="/", stdout=subprocess.DEVNULL, user=USER, group=USER)

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self.directory} -F"
        log = str(self.directory / "server.log")
        self.run("pg_ctl", "start", "-w", "-D", str(self.directory / "data"), "-l", log, "-o", options)

    def stop(self) -> None:
        self.run("pg_ctl", "stop", "-m", "immediate", "-D", str(self.directory / "data"))

    @property
    def postmaster(self) -> int:
        return int((self.directory / "data" / "postmaster.pid").read_text().splitlines()[0])


@pytest.fixture
def postgres(cluster_directory: Path) -> Iterator[BarePostgres]:
    server = BarePostgres(cluster_directory, free_port())
    server.run("initdb", "-D", str(cluster_directory / "data"), "-A", "trust", "-N", "-U", "postgres")
    server.start()
    yield server
    server.stop()


def test_an_undisturbed_load_loses_nothing_and_has_no_gap(postgres: BarePostgres) -> None:
    load = WriteLoad({"a": postgres.dsn}).start()
    begun = boot_s()
    while load.progress().acknowledged < 100:
        time.sleep(0.01)
    report = load.stop()
    assert report.problems() == []
    assert report.acknowledged >= 100
    gap = report.gap_ms(begun)
    assert gap is not None
    assert gap < 1000


def test_rows_that_are_deleted_behind_its_back_are_reported_as_lost(postgres: BarePostgres) -> None:
    load = WriteLoad({"a": postgres.dsn}).start()
    while load.progress().acknowledged < 20:
        time.sleep(0.01)
    load.stopping.set()
    session = Session(postgres.dsn)
    session.query("DELETE FROM hacore_history WHERE seq > 15", deadline_s=5)
    session.close()
    report = load.stop()
    assert report.lost_rows == report.acknowledged - 15
    assert report.lost[0].wal_bytes


def test_a_crash_leaves_unknown_rows_but_loses_none_and_its_gap_is_measured(postgres: BarePostgres) -> None:
    load = WriteLoad({"a": postgres.dsn}).start()
    killed_at = boot_s()
    os.kill(postgres.postmaster, signal.SIGQUIT)
    while (postgres.directory / "data" / "postmaster.pid").exists():
        time.sleep(0.02)
    time.sleep(0.3)
    postgres.start()
    before = load.progress().acknowledged
    while load.progress().acknowledged < before + 20:
        time.sleep(0.01)
    report = load.stop()
    assert report.lost == ()
    assert report.overlaps == ()
    gap = report.gap_ms(killed_at)
    assert gap is not None
    assert gap >= 300


def test_an_acknowledgement_that_arrives_after_a_stopped_server_goes_on_is_seen(postgres: BarePostgres) -> None:
    load = WriteLoad({"a": postgres.dsn}).start()
    children = Path(f"/proc/{postgres.postmaster}/task/{postgres.postmaster}/children").read_text().split()
    processes = [postgres.postmaster, *map(int, children)]
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    stopped_at = boot_s()
    time.sleep(1.5)
    for pid in processes:
        os.kill(pid, signal.SIGCONT)
    time.sleep(0.3)
    report = load.stop()
    assert report.problems() == []
    gap = report.gap_ms(stopped_at)
    assert gap is not None
    assert gap >= 1400


def test_two_servers_that_both_take_writes_are_found_out(postgres: BarePostgres, cluster_directory: Path) -> None:
    other = BarePostgres(cluster_directory / "other", free_port())
    other.directory.mkdir()
    give_away(other.directory)
    other.run("initdb", "-D", str(other.directory / "data"), "-A", "trust", "-N", "-U", "postgres")
    other.start()
    try:
        WriteLoad({"b": other.dsn}).start().stop()  # makes the table there as well
        load = WriteLoad({"a": postgres.dsn, "b": other.dsn}).start()
        while len([count for count in load.progress().per_node.values() if count > 20]) < 2:
            time.sleep(0.01)
        report = load.stop()
    finally:
        other.stop()
    assert any(set(overlap.nodes) == {"a", "b"} for overlap in report.overlaps)
