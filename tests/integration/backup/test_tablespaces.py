"""A database with a tablespace of its own: its backup goes back to the same place, and a copy of it never touches that place."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hacore.testing.cluster import ClusterNode
from hacore.testing.workdir import give_away, work_directory
from tests.integration.backup.conftest import Backups, backup_cluster
from tests.integration.backup.database import archived, query, write

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def backups(request: pytest.FixtureRequest) -> Iterator[Backups]:
    """One node: two on one machine would have the same directory."""
    with work_directory("ts-", session=request.session) as directory, backup_cluster(directory.path, nodes=1) as found:
        yield found


def with_a_tablespace(backups: Backups, name: str = "aside") -> tuple[ClusterNode, Path]:
    """A leader with a table ``t`` in a tablespace, and the tablespace's directory."""
    leader = backups.cluster.the_leader()
    place = backups.cluster.directory / name
    place.mkdir()
    give_away(place)
    query(leader, f"CREATE TABLESPACE {name} LOCATION '{place}'")
    query(leader, f"CREATE TABLE IF NOT EXISTS t (i int) TABLESPACE {name}")
    return leader, place


def numbers(node: ClusterNode) -> list[int]:
    return [row[0] for row in query(node, "SELECT i FROM t ORDER BY 1")]


def picture(place: Path) -> dict[Path, tuple[int, int]]:
    """What lies in a directory, and when it was written."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in place.rglob("*") if path.is_file()}


def test_a_check_by_restoring_does_not_touch_the_tablespace_of_the_live_server(backups: Backups) -> None:
    leader, place = with_a_tablespace(backups)
    write(leader, 1)
    backups.must("backup", "run")
    write(leader, 2)
    query(leader, "CHECKPOINT")
    before = picture(place)
    assert "restored and read" in backups.must("backup", "verify", "--restore")
    assert picture(place) == before
    assert numbers(leader) == [1, 2]
    assert not list(Path(f"{leader.data_dir}.scratch").glob("*"))


def test_a_backup_that_is_older_than_a_tablespace_is_not_started_beside_it(backups: Backups) -> None:
    with_a_tablespace(backups)
    backups.must("backup", "run")
    _, place = with_a_tablespace(backups, "younger")
    before = picture(place)
    done = backups.command("backup", "verify", "--restore")
    assert done.returncode == 1
    assert "younger than the backup" in done.stderr
    assert str(place) in done.stderr
    assert picture(place) == before
    backups.must("backup", "run")
    assert "restored and read" in backups.must("backup", "verify", "--restore")


def test_a_restore_in_place_fills_the_same_directory_again_once_the_old_one_is_given_up(backups: Backups) -> None:
    leader, place = with_a_tablespace(backups)
    write(leader, 1)
    backups.must("backup", "run")
    target = write(leader, 2)
    write(leader, 3)
    archived(backups, leader)
    refused = backups.command("restore", "--to", target.isoformat(), "--dry-run")
    assert refused.returncode == 1
    assert "tablespaces, which cannot be kept aside" in refused.stderr
    backups.must("restore", "--to", target.isoformat(), "--discard-old-data", "--confirm", "demo", timeout_s=200)
    leader = backups.cluster.the_leader()
    assert numbers(leader) == [1, 2]
    (link,) = (leader.data_dir / "pg_tblspc").iterdir()
    assert link.readlink() == place
    write(leader, 4)


def test_a_copy_on_the_same_machine_has_tablespaces_of_its_own_or_is_refused(backups: Backups) -> None:
    leader, place = with_a_tablespace(backups)
    write(leader, 1)
    backups.must("backup", "run")
    query(leader, "CHECKPOINT")
    before = picture(place)
    with work_directory("ts-copy-") as there:
        copy: dict[str, object] = {"plugin": "plain", "to": "immediate", "source": {"directory": str(backups.repository)}}
        with backup_cluster(there.path, nodes=1, local=method(copy), scope="copy", start=False) as found:
            (node,) = found.cluster.nodes.values()
            node.start()
            assert node.wait_end(within_s=120) == 1
            assert f"{place} is not empty" in node.log.read_text()
    with work_directory("ts-copy-") as there:
        moved = {**copy, "tablespaces": {str(place): str(there.path / "moved")}}
        with backup_cluster(there.path, nodes=1, local=method(moved), scope="copy") as found:
            node = found.cluster.the_leader()
            assert numbers(node) == [1]
            write(node, 9)
            query(node, "CHECKPOINT")
            (link,) = (node.data_dir / "pg_tblspc").iterdir()
            assert link.readlink() == there.path / "moved"
    assert picture(place) == before
    assert numbers(leader) == [1]


def test_after_an_attempt_that_failed_the_next_one_fills_the_same_tablespaces(backups: Backups) -> None:
    leader, place = with_a_tablespace(backups)
    write(leader, 1)
    backups.must("backup", "run")
    query(leader, "CHECKPOINT")
    before = picture(place)
    with work_directory("ts-copy-") as there:
        moved, fails = there.path / "moved", there.path / "fails"
        copy = {
            "plugin": "plain",
            "to": "immediate",
            "source": {"directory": str(backups.repository)},
            "tablespaces": {str(place): str(moved)},
        }
        local = method(copy, post_bootstrap=f"sh -c 'test ! -e {fails}' after")
        fails.touch()
        with backup_cluster(there.path, nodes=1, local=local, scope="copy", start=False) as found:
            (node,) = found.cluster.nodes.values()
            node.start()
            assert node.wait_end(within_s=120) == 1
            assert "post_bootstrap ended" in node.log.read_text()
            assert not list(moved.iterdir())
            fails.unlink()
            node.start()
            found.cluster.wait_ready()
            assert numbers(node) == [1]
    assert picture(place) == before


def method(copy: Mapping[str, object], **more: str) -> dict[str, object]:
    """The bootstrap section of a copy."""
    return {"*": {"bootstrap": {"method": "copy", "copy": copy, **more}}}
