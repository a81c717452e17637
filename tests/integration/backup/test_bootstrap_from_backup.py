"""A new cluster begins with the backup of another one, at a point in time; the other one and its archive do not notice."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hacore.testing.waiting import wait_for
from hacore.testing.workdir import work_directory
from tests.integration.backup.conftest import Backups, backup_cluster
from tests.integration.backup.database import archived, query, rows, write

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def origin(request: pytest.FixtureRequest) -> Iterator[Backups]:
    with work_directory("origin-", session=request.session) as directory, backup_cluster(directory.path, nodes=1) as found:
        yield found


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Path]:
    with work_directory("copy-", session=request.session) as directory:
        yield directory.path


def method(origin: Backups, **section: Any) -> dict[str, Any]:
    """The bootstrap section of a copy."""
    restore = {"plugin": "plain", "source": {"directory": str(origin.repository)}, **section}
    return {"*": {"bootstrap": {"method": "copy", "copy": restore}}}


def test_a_copy_that_would_archive_where_its_origin_does_is_refused(origin: Backups, place: Path) -> None:
    node = origin.cluster.the_leader()
    query(node, "CREATE TABLE t (i int)")
    write(node, 1)
    origin.must("backup", "run")
    archived(origin, node)
    settings = method(origin)
    settings["*"]["plugins"] = {"plain": {"directory": str(origin.repository)}}
    with backup_cluster(place, nodes=1, local=settings, scope="copy", start=False) as copy:
        (one,) = copy.cluster.nodes.values()
        one.start()
        assert one.wait_end(within_s=120) == 1
        assert "leads to where this cluster archives" in one.log.read_text()
        assert not (one.data_dir / "PG_VERSION").exists()


def test_a_copy_begins_at_the_point_in_time_and_leaves_the_origin_alone(origin: Backups, place: Path) -> None:
    node = origin.cluster.the_leader()
    query(node, "CREATE TABLE t (i int)")
    query(node, "SELECT pg_create_physical_replication_slot('of_the_origin', true)")
    write(node, 1)
    origin.must("backup", "run")
    target = write(node, 2)
    write(node, 3)
    archived(origin, node)
    before = {one.name: one.stat().st_mtime_ns for one in (origin.repository / "wal").iterdir()}
    local = method(origin, to=target.isoformat())
    with backup_cluster(place, nodes=2, local=local, scope="copy") as copy:
        leader = copy.cluster.the_leader()
        assert rows(leader) == [1, 2]
        assert query(leader, "SELECT slot_name FROM pg_replication_slots WHERE slot_name = 'of_the_origin'") == []
        assert leader.rest("/patroni").document["timeline"] == 2
        write(leader, 4)
        archived(copy, leader)
        (standby,) = copy.cluster.others(leader)
        wait_for(lambda: rows(standby) == [1, 2, 4], "the standby has everything")
        assert query(leader, "SHOW recovery_target_time") == [("",)]
        copy.must("backup", "run")
    grown = [one.name for one in (origin.repository / "wal").iterdir() if before.get(one.name) not in {None, one.stat().st_mtime_ns}]
    assert grown == []  # nothing of the origin's was written over
    assert not (origin.repository / "wal" / "00000002.history").exists()
    assert rows(node) == [1, 2, 3]


def test_a_copy_follows_the_newest_timeline_past_what_a_restore_gave_up_and_numbers_that_nobody_took(origin: Backups, place: Path) -> None:
    node = origin.cluster.the_leader()
    query(node, "CREATE TABLE t (i int)")
    origin.must("backup", "run")
    target = write(node, 1)
    write(node, 2)
    archived(origin, node)
    origin.must("backup", "run")
    back = ("restore", "--to", target.isoformat(), "--confirm", "demo")
    origin.fault("die_in_restore")
    assert origin.command(*back, timeout_s=240).returncode == 1  # it has claimed timeline 2
    origin.fault(None)
    origin.cluster.wait_ready()
    origin.must(*back, timeout_s=240)
    origin.cluster.wait_ready()
    write(node, 3)
    archived(origin, node)
    assert not (origin.repository / "wal" / "00000002.history").exists()
    with backup_cluster(place, nodes=1, local=method(origin), scope="copy") as copy:
        assert rows(copy.cluster.the_leader()) == [1, 3]


def test_a_timeline_that_a_person_names_is_come_to_from_a_backup_before_it_began(origin: Backups, place: Path) -> None:
    node = origin.cluster.the_leader()
    query(node, "CREATE TABLE t (i int)")
    origin.must("backup", "run")
    target = write(node, 1)
    archived(origin, node)
    back = ("restore", "--to", target.isoformat(), "--timeline", "1", "--confirm", "demo")
    origin.must(*back, timeout_s=240)
    origin.cluster.wait_ready()
    write(node, 2)
    archived(origin, node)
    origin.must(*back, timeout_s=240)
    origin.cluster.wait_ready()
    write(node, 3)
    archived(origin, node)
    with backup_cluster(place, nodes=1, local=method(origin, timeline="2"), scope="copy") as copy:
        assert rows(copy.cluster.the_leader()) == [1, 2]
    origin.must("restore", "--to", "latest", "--timeline", "2", "--confirm", "demo", timeout_s=240)
    origin.cluster.wait_ready()
    assert rows(node) == [1, 2]


def test_a_target_that_the_archive_does_not_reach_is_no_cluster_and_says_where_the_wal_ends(origin: Backups, place: Path) -> None:
    node = origin.cluster.the_leader()
    query(node, "CREATE TABLE t (i int)")
    origin.must("backup", "run")
    write(node, 1)
    archived(origin, node)
    local = method(origin, to=(datetime.now(UTC) - timedelta(milliseconds=1)).isoformat())
    with backup_cluster(place, nodes=1, local=local, scope="copy", start=False) as copy:
        (one,) = copy.cluster.nodes.values()
        one.start()
        assert one.wait_end(within_s=120) == 1
        said = one.log.read_text()
        assert "the WAL ends before" in said
        assert "choose latest, or a time before that" in said


def test_a_target_before_every_backup_is_refused_with_the_first_possible_one(origin: Backups, place: Path) -> None:
    query(origin.cluster.the_leader(), "CREATE TABLE t (i int)")
    too_early = datetime.now(UTC)
    origin.must("backup", "run")
    with backup_cluster(place, nodes=1, local=method(origin, to=too_early.isoformat()), scope="copy", start=False) as copy:
        (one,) = copy.cluster.nodes.values()
        one.start()
        assert one.wait_end(within_s=120) == 1
        assert "the earliest possible target is" in one.log.read_text()


def test_a_tool_that_dies_in_the_middle_leaves_no_cluster(origin: Backups, place: Path) -> None:
    query(origin.cluster.the_leader(), "CREATE TABLE t (i int)")
    origin.must("backup", "run")
    origin.fault("die_in_restore")
    with backup_cluster(place, nodes=1, local=method(origin), scope="copy", start=False) as copy:
        (one,) = copy.cluster.nodes.values()
        one.start()
        assert one.wait_end(within_s=120) == 1
        assert "restore ended with -9" in one.log.read_text()
        assert not one.data_dir.exists()
