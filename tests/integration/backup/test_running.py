"""Backups of a running cluster: on a standby, never two at once, and with a tool that hangs, dies or lies the leader leads on."""

import json
import signal
import threading

import pytest

from hacore.guard.jobs import JOB_VARIABLE
from hacore.guard.processes import every_pid, variable_of
from hacore.testing.cluster import Cluster
from hacore.testing.waiting import wait_for
from tests.chaos.judging import TTL_S
from tests.integration.backup.conftest import Backups

pytestmark = pytest.mark.timeout(240)


def programs_of(cluster: Cluster) -> list[int]:
    """The programs that agents run as long work."""
    places = {str(node.state_dir) for node in cluster.nodes.values()}
    return [pid for pid in every_pid() if variable_of(pid, JOB_VARIABLE) in places]


def assert_it_leads_on(backups: Backups, leader: str) -> None:
    """The same leader on the same timeline, and its lease is renewed."""
    node = backups.cluster.the_leader()
    assert (node.name, node.rest("/patroni").document["timeline"]) == (leader, 1)
    assert "hacore_fences{" in (metrics := node.rest("/metrics").text)
    assert metrics.partition("hacore_fences{")[2].splitlines()[0].endswith(" 0.0")


def test_a_backup_is_made_on_a_standby_and_told_of_everywhere(backups: Backups) -> None:
    (standby,) = backups.cluster.others(backups.cluster.the_leader())
    assert f"done on {standby.name}" in backups.must("backup", "run")
    (one,) = json.loads(backups.must("backup", "list", "-f", "json"))
    assert (one["State"], one["TL"], one["On"]) == ("ok", 1, standby.name)
    said = json.loads(backups.must("backup", "info", one["Backup"], "-f", "json"))
    assert (said["labels"]["scope"], said["labels"]["member"]) == ("demo", standby.name)
    assert int(said["labels"]["token"]) >= 1
    assert one["Backup"] in backups.must("backup", "list")
    (event,) = wait_for(lambda: backups.events("backup_completed"), "the event")
    assert (event["member"], event["data"]["work"], event["data"]["backup"]) == (standby.name, "backup", one["Backup"])
    wait_for(lambda: "hacore_backup_newest_good_timestamp_seconds" in standby.rest("/metrics").text, "its age in the metrics")
    metrics = standby.rest("/metrics").text
    assert 'hacore_backup_failures{name="' + standby.name + '",scope="demo"} 0.0' in metrics


def test_it_is_made_where_a_person_wants_it_and_checked_by_the_tool(backups: Backups) -> None:
    leader = backups.cluster.the_leader()
    assert f"done on {leader.name}" in backups.must("backup", "run", "--member", leader.name)
    assert "checksums of all files" in backups.must("backup", "verify")
    (one,) = json.loads(backups.must("backup", "list", "-f", "json"))
    assert one["Verified"]
    damaged = backups.repository / "base" / one["Backup"] / "data" / "PG_VERSION"
    damaged.write_text("99\n")
    done = backups.command("backup", "verify", one["Backup"])
    assert done.returncode == 1
    assert "PG_VERSION" in done.stderr
    assert "Verified" not in json.loads(backups.must("backup", "list", "-f", "json"))[0]


def test_while_the_tool_hangs_nothing_else_begins_and_a_person_can_end_it(backups: Backups) -> None:
    leader = backups.cluster.the_leader()
    backups.fault("hang")
    backups.must("backup", "run", "--no-wait")
    wait_for(lambda: (task := backups.task()) and task.get("progress") == "10 %", "the tool is at work")
    second = backups.command("backup", "run")
    assert (second.returncode, "goes on" in second.stderr) == (1, True)
    before = leader.rest("/patroni").document["dcs_last_seen"]
    wait_for(lambda: leader.rest("/patroni").document["dcs_last_seen"] > before + 2 * TTL_S, "two ttls with a tool that hangs")
    assert_it_leads_on(backups, leader.name)
    assert "cancelled" in backups.must("backup", "cancel")
    wait_for(lambda: not programs_of(backups.cluster), "the tool, which is deaf to SIGTERM, has gone")
    assert backups.result() is not None
    assert backups.names() == []
    backups.fault(None)
    backups.must("backup", "run")
    assert len(backups.names()) == 1


@pytest.mark.parametrize(
    ("fault", "said"), [("die", "ended with -9"), ("lie", "base_of_lies is done, but it is not in its list")], ids=["killed midway", "lies"]
)
def test_a_tool_that_misbehaves_is_a_failure_that_is_told(backups: Backups, fault: str, said: str) -> None:
    leader = backups.cluster.the_leader()
    backups.fault(fault)
    done = backups.command("backup", "run")
    assert done.returncode == 1
    assert said in done.stderr
    (event,) = wait_for(lambda: backups.events("backup_failed"), "the event")
    assert (event["data"]["failures"], said in event["data"]["error"]) == (1, True)
    assert backups.names() == []
    assert_it_leads_on(backups, leader.name)


def test_the_work_of_an_agent_that_is_killed_is_failed_when_it_is_back(backups: Backups) -> None:
    (standby,) = backups.cluster.others(backups.cluster.the_leader())
    backups.fault("slow 120")
    backups.must("backup", "run", "--no-wait")
    wait_for(lambda: (task := backups.task()) and task.get("taken"), "it is taken")
    agent = standby.pid("agent")
    standby.kill("agent", signal.SIGKILL)
    standby.wait_for_another("agent", than=agent)
    result = backups.ended()
    assert "started again" in result["error"]
    wait_for(lambda: not programs_of(backups.cluster), "nothing of it runs")
    backups.fault(None)
    backups.cluster.wait_ready()
    backups.must("backup", "run")


def test_a_new_leader_goes_on_with_what_runs(backups: Backups) -> None:
    leader = backups.cluster.the_leader()
    (standby,) = backups.cluster.others(leader)
    backups.must("backup", "run", "--member", leader.name)  # so that it is known how long one takes at least
    backups.fault("slow 20")
    waiting = threading.Thread(target=backups.command, args=("backup", "run"))
    waiting.start()
    wait_for(lambda: (task := backups.task()) and task.get("taken") and task["member"] == standby.name, "it is taken")
    assert backups.cluster.switchover(leader=leader.name, candidate=standby.name).status == 200
    second = backups.command("backup", "run", node=standby)
    assert (second.returncode, "goes on" in second.stderr) == (1, True)
    result = backups.ended()
    waiting.join()
    assert result["member"] == standby.name
    assert len(backups.names()) == (1 if result.get("error") else 2)


def test_nothing_is_begun_where_nobody_has_a_plugin_and_that_is_said(backups: Backups) -> None:
    node = backups.cluster.the_leader()
    del node.settings["backup"]
    node.write()
    node.reload()
    assert "backup.plugin" in backups.refused("backup", "run")
