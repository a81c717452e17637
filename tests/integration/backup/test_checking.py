"""A backup is checked by what it is for: restored, started and read beside the cluster, which does not notice."""

import json
from pathlib import Path

import pytest

from hacore.testing.waiting import wait_for
from hacore.testing.workdir import give_away
from tests.integration.backup.conftest import Backups
from tests.integration.backup.database import archived, query, write
from tests.integration.backup.test_running import assert_it_leads_on, programs_of

pytestmark = pytest.mark.timeout(300)


def scratches(backups: Backups) -> list[Path]:
    """What is left of copies."""
    return [left for node in backups.cluster.nodes.values() for left in Path(f"{node.data_dir}.scratch").glob("*")]


def test_a_good_backup_comes_up_and_nothing_of_it_is_left(backups: Backups) -> None:
    leader = backups.cluster.the_leader()
    backups.must("backup", "run")
    said = backups.must("backup", "verify", "--restore")
    assert "restored and read: 2 databases" in said
    assert "all pages have the right checksums" in said
    assert (scratches(backups), programs_of(backups.cluster)) == ([], [])
    assert not [one.name for one in (backups.repository / "wal").glob("*") if one.name.endswith(".history")]  # no timeline was begun
    assert_it_leads_on(backups, leader.name)
    (one,) = json.loads(backups.must("backup", "list", "-f", "json"))
    assert one["Verified"]


@pytest.mark.parametrize(
    ("fault", "said", "is_in_doubt"),
    [
        pytest.param("lie_in_restore", "restored without PG_VERSION", True, id="lies"),
        pytest.param(
            "die_in_restore", "ended with -9", False, id="killed midway", marks=pytest.mark.slow
        ),  # test_restore.py has that at each change
    ],
)
def test_a_tool_that_restores_nothing_is_found_out(backups: Backups, fault: str, said: str, is_in_doubt: bool) -> None:
    leader = backups.cluster.the_leader()
    backups.must("backup", "run")
    backups.fault(fault)
    done = backups.command("backup", "verify", "--restore")
    assert done.returncode == 1
    assert said in done.stderr
    assert json.loads(backups.must("backup", "list", "-f", "json"))[0].get("In doubt", False) == is_in_doubt
    assert scratches(backups) == []
    assert_it_leads_on(backups, leader.name)


def test_a_copy_that_has_no_room_with_all_that_it_rests_on_is_not_begun(backups: Backups) -> None:
    backups.must("backup", "run")
    backups.must("backup", "run")
    base, increment = sorted((backups.repository / "base").glob("*/backup.json"))
    described = {one: json.loads(one.read_text()) for one in (base, increment)}
    described[base]["size_bytes"] = 1 << 60
    described[increment] |= {"size_bytes": 1, "parent": described[base]["id"]}
    for file, document in described.items():
        file.write_text(json.dumps(document))
    done = backups.command("backup", "verify", "--restore")
    assert done.returncode == 1
    assert "MiB are free, the backup needs" in done.stderr
    assert scratches(backups) == []


def test_beside_the_server_no_copy_of_an_unknown_size_is_begun(backups: Backups) -> None:
    backups.must("backup", "run")
    (file,) = (backups.repository / "base").glob("*/backup.json")
    described = json.loads(file.read_text())
    file.write_text(json.dumps({**described, "size_bytes": None}))
    done = backups.command("backup", "verify", "--restore")
    assert done.returncode == 1
    assert "the tool does not tell how much the backup needs: set backup.scratch_dir" in done.stderr
    assert scratches(backups) == []


def test_after_a_restore_the_newest_backup_that_leads_on_is_checked_and_one_that_was_given_up_only_by_name(backups: Backups) -> None:
    leader = backups.cluster.the_leader()
    query(leader, "CREATE TABLE t (i int)")
    backups.must("backup", "run")
    target = write(leader, 1)
    write(leader, 2)
    backups.must("backup", "run")
    backups.must("restore", "--to", target.isoformat(), "--confirm", "demo", timeout_s=240)
    backups.cluster.wait_ready()
    archived(backups, leader)
    assert (backups.repository / "wal" / "00000002.history").exists()
    kept, given_up = backups.names()
    assert "restored and read" in backups.must("backup", "verify", "--restore")
    assert [one["Backup"] for one in json.loads(backups.must("backup", "list", "-f", "json")) if one.get("Verified")] == [kept]
    assert "restored and read" in backups.must("backup", "verify", given_up, "--restore")


def test_a_page_that_is_damaged_is_found(backups: Backups) -> None:
    backups.must("backup", "run")
    backups.must("backup", "verify")
    assert json.loads(backups.must("backup", "list", "-f", "json"))[0]["Verified"]
    (name,) = backups.names()
    data = backups.repository / "base" / name / "data"
    (data / "backup_manifest").unlink()
    page = max((data / "base" / "1").iterdir(), key=lambda one: one.stat().st_size)
    content = bytearray(page.read_bytes())
    content[100:200] = b"x" * 100
    page.write_bytes(content)
    backups.fault("no_verification")
    done = backups.command("backup", "verify", "--restore")
    assert done.returncode == 1
    assert "restored copy" in done.stderr
    (shown,) = json.loads(backups.must("backup", "list", "-f", "json"))
    assert ("Verified" not in shown, shown["In doubt"]) == (True, True)
    assert scratches(backups) == []


def test_a_backup_whose_wal_is_on_its_way_is_in_doubt_until_it_has_come(backups: Backups) -> None:
    """Whoever made it: nothing says beforehand that its WAL is not there."""
    backups.must("backup", "run")
    (name,) = backups.names()
    data = backups.repository / "base" / name / "data"
    (data / "backup_manifest").unlink()
    for segment in (data / "pg_wal").glob("0*"):
        segment.unlink()
    backups.fault("no_verification")
    wal, aside = backups.repository / "wal", backups.repository / "wal.aside"
    wal.rename(aside)
    wal.mkdir(mode=0o777)
    give_away(wal)
    done = backups.command("backup", "verify", "--restore")
    assert done.returncode == 1
    assert "the restored copy does not start" in done.stderr
    result = backups.result("verify") or {}
    assert (result.get("is_found_bad"), result.get("may_lack_wal")) == (None, True), result
    assert json.loads(backups.must("backup", "list", "-f", "json"))[0]["In doubt"]
    for file in aside.iterdir():
        file.rename(wal / file.name)
    backups.must("backup", "verify", "--restore")
    assert "In doubt" not in json.loads(backups.must("backup", "list", "-f", "json"))[0]


def test_a_check_that_hangs_can_be_ended(backups: Backups) -> None:
    leader = backups.cluster.the_leader()
    backups.must("backup", "run")
    backups.fault("hang_in_restore")
    backups.must("backup", "verify", "--restore", "--no-wait")
    wait_for(lambda: "restores" in ((backups.task() or {}).get("progress") or ""), "the tool restores")
    backups.must("backup", "cancel")
    wait_for(lambda: not programs_of(backups.cluster) and not scratches(backups), "nothing is left")
    assert_it_leads_on(backups, leader.name)
