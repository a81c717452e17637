"""A running cluster goes back to a point in time, in place: all of it or not at all, whatever dies meanwhile."""

import json
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from hacore.testing.cluster import ClusterNode
from hacore.testing.waiting import wait_for
from hacore.testing.workdir import give_away, work_directory
from tests.integration.backup.conftest import Backups, backup_cluster
from tests.integration.backup.database import archived, query, rows, write
from tests.integration.backup.test_running import programs_of

pytestmark = pytest.mark.timeout(400)

LONGEST_NAME = 255  # of a file on Linux, in bytes
SEGMENT_NAME = 24


def prepared(backups: Backups) -> tuple[ClusterNode, datetime]:
    """A leader with three rows, a backup after the first, all of it archived; the time after the second row."""
    leader = backups.cluster.the_leader()
    query(leader, "CREATE TABLE t (i int)")
    write(leader, 1)
    backups.must("backup", "run")
    target = write(leader, 2)
    write(leader, 3)
    archived(backups, leader)
    return leader, target


def asides(backups: Backups) -> list[Path]:
    """Old directories that were kept."""
    return list(backups.cluster.directory.glob("*.before-*"))


def state(backups: Backups) -> str:
    """How far the restore is, by any node that answers."""
    for node in backups.cluster.nodes.values():
        reply = node.rest("/restore") if node.is_ok("/liveness") else None
        if reply is not None and reply.status == 200:
            return str(reply.document["state"])
    return ""


def test_the_whole_cluster_goes_back_and_the_plan_is_shown_before(backups: Backups) -> None:
    leader, target = prepared(backups)
    plan = backups.must("restore", "--to", target.isoformat(), "--dry-run")
    assert "goes back to" in plan
    assert "stops:" in plan
    assert rows(leader) == [1, 2, 3]
    refused = backups.command("restore", "--to", target.isoformat(), "--confirm", "another")
    assert (refused.returncode, "nothing was done" in refused.stderr) == (1, True)
    assert "restored, on timeline 2" in backups.must("restore", "--to", target.isoformat(), "--confirm", "demo", timeout_s=240)
    backups.cluster.wait_ready()
    (standby,) = backups.cluster.others(leader)
    assert backups.cluster.the_leader().name == leader.name
    wait_for(lambda: rows(standby) == [1, 2], "the standby has gone back, too")
    write(leader, 4)
    wait_for(lambda: rows(standby) == [1, 2, 4], "and follows")
    assert len(asides(backups)) == 1
    (event,) = wait_for(lambda: backups.events("restored"), "the event")
    assert event["member"] == leader.name
    backups.must("backup", "run")
    archived(backups, leader)
    assert (backups.repository / "wal" / "00000002.history").exists()


def test_a_standby_is_not_made_of_a_backup_of_the_time_that_was_given_up() -> None:
    methods = {"*": {"postgresql": {"create_replica_methods": ["plain", "basebackup"]}}}
    with work_directory("bk-") as place, backup_cluster(place.path, local=methods) as backups:
        leader, target = prepared(backups)
        backups.must("backup", "run")
        backups.must("restore", "--to", target.isoformat(), "--confirm", "demo", timeout_s=240)
        backups.cluster.wait_ready()
        (standby,) = backups.cluster.others(leader)
        backups.must("reinit", "demo", standby.name, "--force", "--wait", timeout_s=120)
        backups.cluster.wait_ready()
        kept, given_up = (json.loads(one.read_text())["start_lsn"] for one in sorted((backups.repository / "base").glob("*/backup.json")))
        label = (standby.data_dir / "backup_label.old").read_text()
        assert (kept in label, given_up in label) == (True, False)
        write(leader, 4)
        wait_for(lambda: rows(standby) == [1, 2, 4], "it follows")


def test_latest_ends_at_no_gap_of_the_archive_without_a_word(backups: Backups) -> None:
    leader, _ = prepared(backups)
    archived(backups, leader)
    write(leader, 4)
    archived(backups, leader)
    latest = ("restore", "--to", "latest", "--confirm", "demo")
    newest, lost = sorted((one for one in (backups.repository / "wal").iterdir() if len(one.name) == SEGMENT_NAME), reverse=True)[:2]
    aside = lost.rename(backups.repository / lost.name)
    done = backups.command(*latest, timeout_s=240)
    assert (done.returncode, "as it was before" in done.stderr) == (1, True), done.stderr
    assert f"{lost.name} is missing or damaged, and {newest.name} comes after it" in done.stderr
    backups.cluster.wait_ready()
    (standby,) = backups.cluster.others(leader)
    assert backups.cluster.switchover(leader=leader.name, candidate=standby.name).status == 200
    wait_for(lambda: query(standby, "SELECT pg_is_in_recovery()") == [(False,)], "it takes writes")
    write(standby, 5)
    archived(backups, standby)
    done = backups.command(*latest, timeout_s=240)
    assert (done.returncode, "as it was before" in done.stderr) == (1, True), done.stderr
    assert f"{lost.name} is missing or damaged, and timeline 3 comes after it" in done.stderr
    backups.cluster.wait_ready()
    aside.rename(lost)
    backups.must(*latest, timeout_s=240)
    backups.cluster.wait_ready()
    assert rows(backups.cluster.the_leader()) == [1, 2, 3, 4, 5]


def test_a_target_beyond_the_end_changes_nothing_and_says_where_the_wal_ends(backups: Backups) -> None:
    leader, _ = prepared(backups)
    beyond = (datetime.now(UTC) - timedelta(milliseconds=1)).isoformat()
    done = backups.command("restore", "--to", beyond, "--confirm", "demo", timeout_s=240)
    assert done.returncode == 1
    assert "the WAL ends before" in done.stderr
    assert "as it was before" in done.stderr
    backups.cluster.wait_ready()
    assert backups.cluster.the_leader().name == leader.name
    assert rows(leader) == [1, 2, 3]
    assert leader.rest("/patroni").document["timeline"] == 1
    assert asides(backups) == []


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("die_in_restore", id="killed midway"),
        pytest.param("lie_in_restore", id="lies", marks=pytest.mark.slow),  # test_checking.py has that at each change
    ],
)
def test_a_tool_that_misbehaves_leaves_the_cluster_as_it_was(backups: Backups, fault: str) -> None:
    leader, target = prepared(backups)
    backups.fault(fault)
    done = backups.command("restore", "--to", target.isoformat(), "--confirm", "demo", timeout_s=240)
    assert (done.returncode, "as it was before" in done.stderr) == (1, True)
    backups.cluster.wait_ready()
    assert rows(backups.cluster.the_leader()) == [1, 2, 3]
    assert rows(leader) == [1, 2, 3]


def test_while_the_tool_hangs_nobody_leads_with_old_data_and_a_person_can_end_it(backups: Backups) -> None:
    leader, target = prepared(backups)
    (standby,) = backups.cluster.others(leader)
    backups.fault("hang_in_restore")
    with backups.begun("restore", "--to", target.isoformat(), "--confirm", "demo") as command:
        wait_for(lambda: state(backups) == "restoring", "the wish stands in the store")
        wait_for(lambda: leader.rest("/restore").document.get("progress", "").startswith("restores"), "the tool is at work")
        command.send_signal(signal.SIGINT)
        assert "the restore goes on" in command.communicate(timeout=30)[1]
    assert "already" in backups.refused("restore", "--to", target.isoformat(), "--dry-run")
    assert "Restore to" in backups.must("list")
    assert leader.is_ok("/leader")  # its lease is renewed
    assert standby.pids("postmaster") == []
    switch = backups.cluster.switchover(leader=leader.name, candidate=standby.name)
    assert switch.status != 200
    assert "takes the cluster back" in backups.refused("backup", "run")
    assert "ended" in backups.must("restore", "--cancel")
    wait_for(lambda: not programs_of(backups.cluster), "nothing of it runs")
    backups.cluster.wait_ready()
    assert rows(leader) == [1, 2, 3]
    assert state(backups) == "failed"


def test_a_restore_is_gone_on_with_after_the_agent_was_killed(backups: Backups) -> None:
    leader, target = prepared(backups)
    backups.fault("hang_in_restore")
    backups.must("restore", "--to", target.isoformat(), "--confirm", "demo", "--no-wait")
    wait_for(lambda: leader.rest("/restore").document.get("progress", "").startswith("restores"), "the tool is at work")
    backups.fault(None)
    agent = leader.pid("agent")
    leader.kill("agent", signal.SIGKILL)
    leader.wait_for_another("agent", than=agent)
    wait_for(lambda: state(backups) == "done", "it has come to its end", deadline_s=180)
    backups.cluster.wait_ready()
    assert rows(leader) == [1, 2]


def test_a_recovery_is_begun_anew_after_the_agent_was_killed_and_its_server_ran_on(backups: Backups) -> None:
    leader, target = prepared(backups)
    backups.fault("slow_fetch")
    backups.must("restore", "--to", target.isoformat(), "--confirm", "demo", "--no-wait")
    wait_for(lambda: leader.pids("postmaster") and (leader.data_dir / "recovery.signal").exists(), "the server recovers", deadline_s=120)
    server, agent = leader.pid("postmaster"), leader.pid("agent")
    leader.kill("agent", signal.SIGKILL)
    backups.fault(None)
    leader.wait_for_another("agent", than=agent)
    wait_for(lambda: state(backups) == "done", "it has come to its end", deadline_s=200)
    backups.cluster.wait_ready()
    assert rows(leader) == [1, 2]
    assert leader.pid("postmaster") != server
    assert leader.rest("/patroni").document["timeline"] == 3  # the number of the first attempt is not used again


def test_what_an_agent_that_was_killed_had_moved_aside_is_put_back_when_a_person_ends_the_restore(backups: Backups) -> None:
    leader, target = prepared(backups)
    backups.fault("slow_fetch")
    backups.must("restore", "--to", target.isoformat(), "--confirm", "demo", "--no-wait")
    wait_for(lambda: leader.pids("postmaster") and (leader.data_dir / "recovery.signal").exists(), "the server recovers", deadline_s=120)
    server, agent = psutil.Process(leader.pid("postmaster")), leader.pid("agent")
    recovering = wait_for(lambda: next((one for one in server.children() if "startup" in " ".join(one.cmdline())), None), "it recovers")
    assert recovering is not None
    recovering.suspend()  # the next agent has to wait for the end of this server
    leader.kill("agent", signal.SIGKILL)
    leader.wait_for_another("agent", than=agent)
    wait_for(lambda: "the stop job goes on" in leader.rest("/restore").text, "the next one ends the server")
    with backups.begun("restore", "--cancel") as command:
        time.sleep(1.0)  # the wish lies there before the server has gone
        recovering.resume()
        said, fault = command.communicate(timeout=60)
    assert "is put back" in said, fault
    wait_for(lambda: state(backups) == "failed", "it has ended")
    backups.cluster.wait_ready()
    assert backups.cluster.the_leader().name == leader.name
    assert rows(leader) == [1, 2, 3]
    assert asides(backups) == []


@pytest.mark.slow  # each file that is asked for takes seconds
def test_an_archive_that_is_slow_is_waited_for_also_when_the_server_leaves_recovery(backups: Backups) -> None:
    leader, target = prepared(backups)
    backups.fault("busy_archive")
    assert "restored, on timeline 2" in backups.must("restore", "--to", target.isoformat(), "--confirm", "demo", timeout_s=300)
    backups.fault(None)
    assert rows(leader) == [1, 2]


def test_a_machine_that_was_lost_while_it_restored_goes_on_when_it_is_back(backups: Backups) -> None:
    leader, target = prepared(backups)
    backups.fault("hang_in_restore")
    backups.must("restore", "--to", target.isoformat(), "--confirm", "demo", "--no-wait")
    wait_for(lambda: leader.rest("/restore").document.get("progress", "").startswith("restores"), "the tool is at work")
    leader.kill("everything")
    backups.fault(None)
    leader.start()
    wait_for(lambda: state(backups) == "done", "it has come to its end", deadline_s=200)
    backups.cluster.wait_ready()
    assert rows(leader) == [1, 2]


def test_when_the_machine_that_restores_is_lost_nobody_else_leads_until_a_person_gives_it_up(backups: Backups) -> None:
    leader, target = prepared(backups)
    (standby,) = backups.cluster.others(leader)
    backups.fault("hang_in_restore")
    backups.must("restore", "--to", target.isoformat(), "--confirm", "demo", "--no-wait")
    wait_for(lambda: leader.rest("/restore").document.get("progress", "").startswith("restores"), "the tool is at work")
    leader.kill("everything")
    wait_for(lambda: standby.rule == "standing_still", "the other one stands still")
    before = json.loads(standby.rest("/history").text)
    wait_for(
        lambda: not standby.rest("/cluster").document["members"] or leader.name not in backups.cluster.members(), "its record has ended"
    )
    assert not standby.is_ok("/leader")
    assert "given up" in backups.must("restore", "--cancel", node=standby)
    backups.cluster.wait_ready([standby])
    assert rows(standby) == [1, 2, 3]
    backups.fault(None)
    leader.start()
    backups.cluster.wait_ready()
    assert rows(leader) == [1, 2, 3]
    assert json.loads(standby.rest("/history").text) != before


def test_a_directory_that_cannot_be_kept_aside_is_untouched_and_goes_on() -> None:
    with work_directory("bk-") as place:
        box = place.path / "box"
        box.mkdir()
        give_away(box)
        long = box / ("n" * (LONGEST_NAME - 10))  # the name that it would be kept under is too long for the file system
        with backup_cluster(place.path, nodes=1, local={"n1": {"postgresql": {"data_dir": str(long)}}}) as backups:
            leader, target = prepared(backups)
            restore = ("restore", "--to", target.isoformat(), "--confirm", "demo")
            started = leader.pid("postmaster")
            box.chmod(0o555)  # as where its parent is somebody else's
            try:
                refused = backups.command(*restore)
                assert (refused.returncode, "can be renamed by this user" in refused.stderr) == (1, True), refused.stderr
                assert leader.pid("postmaster") == started
            finally:
                box.chmod(0o755)
            done = backups.command(*restore, timeout_s=240)
            assert (done.returncode, "the cluster is as it was before" in done.stderr) == (1, True), done.stderr
            wait_for(lambda: rows(leader) == [1, 2, 3], "the leader goes on with what it had")
