"""Commands that change something, on a real cluster."""

import json
from pathlib import Path

import pytest
import yaml

from hacore.testing.cluster import Cluster, ClusterNode
from hacore.testing.waiting import wait_for
from tests.integration.cli.command import Command

pytestmark = [pytest.mark.xdist_group("command line"), pytest.mark.timeout(300)]


def row_of(hacore: Command, name: str) -> dict[str, object]:
    rows: list[dict[str, object]] = hacore("list", "-f", "json").done().json
    return next(row for row in rows if row["Member"] == name)


def test_switchover_moves_the_leader_and_history_tells_it(
    hacore: Command, on_node: Command, leader: ClusterNode, replicas: list[ClusterNode]
) -> None:
    candidate = replicas[0].name
    said = hacore("switchover", "--candidate", candidate, "--force", "--wait").done()
    assert f'Successfully switched over to "{candidate}"' in said.out
    assert f"| {candidate} " in said.out
    last = hacore("history", "-f", "json").done().json[-1]
    assert last["New Leader"] == candidate
    assert set(last) == {"TL", "LSN", "Reason", "Timestamp", "New Leader"}
    steps = on_node("history").done().out
    assert "handed over" in steps
    assert "stopped" in steps
    events = [row["Event"] for row in on_node("history", "--events", "-f", "json").done().json]
    assert {"handed_over", "role_changed", "leader_changed"} <= set(events)


def test_switchover_asks_what_it_needs_to_know(hacore: Command, leader: ClusterNode, replicas: list[ClusterNode]) -> None:
    refused = hacore("switchover", stdin=f"{leader.name}\n{replicas[1].name}\nnow\nn\n")
    assert refused.code == 1
    assert row_of(hacore, leader.name)["Role"] == "Leader"
    said = hacore("switchover", "--wait", stdin=f"{leader.name}\n{replicas[1].name}\nnow\ny\n").done()
    assert f'Successfully switched over to "{replicas[1].name}"' in said.out
    assert "Are you sure" in said.err


def test_switchover_says_why_it_is_not_possible(
    hacore: Command, cluster: Cluster, leader: ClusterNode, replicas: list[ClusterNode]
) -> None:
    name, other = leader.name, replicas[0].name
    wrong = {
        ("--leader", other): f"Member {other} is not the leader of cluster {cluster.scope}",
        ("--candidate", name): f"Member {name} is already the leader of cluster {cluster.scope}",
        ("--candidate", "nobody"): f"Member nobody does not exist in cluster {cluster.scope} or is tagged as nofailover",
        ("--scheduled", "2001-01-01T00:00Z"): "Switchover failed, details: 422",
    }
    for words, reason in wrong.items():
        said = hacore("switchover", *words, "--force")
        assert (said.code, said.out) == (1, "")
        assert reason in said.err
    assert hacore("switchover", "--scheduled", "tomorrow", "--force").code == 2
    assert hacore("failover", "--force").code == 2


def test_a_scheduled_switchover_is_shown_and_taken_back(hacore: Command, cluster: Cluster, leader: ClusterNode) -> None:
    said = hacore("switchover", "--scheduled", "2999-01-01T00:00Z", "--force", "-f", "json").done().json
    assert (said["status"], said["text"], said["leader"]) == (202, "Switchover scheduled", leader.name)
    assert "Switchover scheduled at: 2999-01-01T00:00:00+00:00" in hacore("list").done().out
    assert hacore("flush", cluster.scope, "switchover").done().out == "Success: scheduled switchover deleted\n"
    assert "Switchover" not in hacore("list").done().out
    assert hacore("flush", "switchover").done().out == "No pending scheduled switchover\n"


def test_failover_makes_the_candidate_lead(hacore: Command, replicas: list[ClusterNode]) -> None:
    said = hacore("failover", "--candidate", replicas[0].name, "--force", "--wait", "-f", "json").done().json
    assert (said["leader"], said["text"]) == (replicas[0].name, f'Successfully failed over to "{replicas[0].name}"')
    assert {row["State"] for row in said["members"]} == {"running", "streaming"}


def test_pause_and_resume_reach_every_member(hacore: Command, cluster: Cluster) -> None:
    assert "Success: cluster management is paused" in hacore("pause", "--wait").done().out
    try:
        assert "Maintenance mode: on" in hacore("list").done().out
        again = hacore("pause")
        assert (again.code, again.err) == (1, "Error: Cluster is already paused\n")
        without_candidate = hacore("switchover", "--force")
        assert without_candidate.code == 1
        assert "specific candidate" in without_candidate.err
        scheduled = hacore("switchover", "--scheduled", "2999-01-01T00:00Z", "--candidate", "n2", "--force").err
        assert "Can't schedule switchover in the paused state" in scheduled or "already the leader" in scheduled
    finally:
        (answer,) = hacore("resume", "--wait", "-f", "json").done().json
    assert (answer["Done"], answer["Status"]) == (True, 200)
    assert hacore("resume").code == 1


def test_edit_config_shows_the_difference_and_writes(hacore: Command) -> None:
    said = hacore("edit-config", "-s", "maximum_lag_on_failover=2MB", "-p", "work_mem=8MB", "--force").done()
    assert "+maximum_lag_on_failover: 2MB" in said.out
    assert said.out.endswith("Configuration changed\n")
    config = yaml.safe_load(hacore("show-config").done().out)
    assert (config["maximum_lag_on_failover"], config["postgresql"]["parameters"]["work_mem"]) == ("2MB", "8MB")
    hacore("edit-config", "-q", "-s", "maximum_lag_on_failover=null", "-p", "work_mem=null", "--force").done()
    assert "work_mem" not in hacore("show-config").done().out
    assert hacore("edit-config", "-p", "work_mem=null", "--force").done().out == "Not changed\n"


def test_edit_config_asks_and_takes_no_for_an_answer(hacore: Command) -> None:
    before = hacore("show-config", "-f", "json").done().json
    assert hacore("edit-config", "-s", "loop_wait=9", stdin="n\n").code == 1
    piped = hacore("edit-config", "--apply", "-", stdin="loop_wait: 9\n")
    assert (piped.code, piped.err.splitlines()[-1]) == (1, "Error: Use --force option to apply changes")
    assert hacore("show-config", "-f", "json").done().json == before


def test_edit_config_refuses_what_no_member_could_use_all_of_it_at_once(hacore: Command) -> None:
    said = hacore("edit-config", "-s", "ttl=soon", "-s", "maximum_lag_on_failover=much", "--force")
    assert (said.code, said.out) == (1, "")
    assert "ttl: found 'soon'" in said.err
    assert "maximum_lag_on_failover: found 'much'" in said.err


def test_edit_config_opens_an_editor(hacore: Command, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsleep 1.1\necho "loop_wait: 8" >> "$1"\n')  # the editor's caller looks at the time of the file
    editor.chmod(0o755)
    said = hacore("edit-config", "--force", environment={"EDITOR": str(editor)}).done()
    assert "+loop_wait: 8" in said.out
    hacore("edit-config", "-q", "-s", "loop_wait=null", "--force").done()


def test_a_setting_that_is_ignored_is_shown_below_the_list(hacore: Command, cluster: Cluster) -> None:
    hacore("edit-config", "-q", "-s", "failsafe_mode=true", "--force").done()
    line = f" Note: failsafe_mode does not work yet and is ignored (by {', '.join(sorted(cluster.nodes))})"
    wait_for(lambda: line in hacore("list").done().out, line)
    hacore("edit-config", "-q", "-s", "failsafe_mode=null", "--force").done()
    wait_for(lambda: "ignored" not in hacore("list").done().out, "no ignored setting any more")


def test_restart_restarts_the_members_named(hacore: Command, cluster: Cluster, replicas: list[ClusterNode]) -> None:
    node = replicas[0]
    before = node.pid("postmaster")
    assert hacore("restart", cluster.scope, node.name, "--force").done().out == f"Success: restart on member {node.name}\n"
    assert node.pid("postmaster") != before


def test_restart_says_why_it_was_not_done(hacore: Command, cluster: Cluster, replicas: list[ClusterNode]) -> None:
    name = replicas[0].name
    said = hacore("restart", cluster.scope, name, "--pg-version", "13.1", "--force")
    assert (said.code, said.out) == (1, "")
    assert f"Failed: restart for member {name}, status code=503, (restart conditions are not satisfied)" in said.err
    (row,) = json.loads(hacore("restart", cluster.scope, name, "--pending", "--force", "-f", "json").out)
    assert (row["Member"], row["Done"], row["Status"]) == (name, False, 503)
    assert hacore("restart", cluster.scope, "nobody", "--force").code == 1
    assert hacore("restart", cluster.scope, name, stdin="now\nn\n").code == 1


def test_a_limit_is_raised_by_a_restart_of_all_that_wait_for_one(hacore: Command, cluster: Cluster, leader: ClusterNode) -> None:
    hacore("edit-config", "-q", "-p", "max_connections=70", "--force").done()
    try:
        for name in cluster.nodes:
            wait_for(lambda name=name: row_of(hacore, name).get("Pending restart"), f"{name}: pending restart")  # type: ignore[misc]
        assert row_of(hacore, leader.name)["Pending restart reason"] == "max_connections: 60->70"
        said = hacore("restart", cluster.scope, "--pending", "--force").done()
        assert said.out.splitlines()[-1] == f"Success: restart on member {leader.name}"
        hacore("list", "--wait").done()
        assert leader.query("SHOW max_connections") == [("70",)]
    finally:
        hacore("edit-config", "-q", "-p", "max_connections=60", "--force").done()
        wait_for(lambda: row_of(hacore, leader.name).get("Pending restart"), "the leader waits for a restart")
        said = hacore("restart", cluster.scope, "--pending", "--force").done()
        assert said.out.splitlines()[0] == f"Success: restart on member {leader.name}"


def test_a_scheduled_restart_is_shown_and_taken_back(hacore: Command, cluster: Cluster, replicas: list[ClusterNode]) -> None:
    name, at = replicas[0].name, "2999-01-01T00:00Z"
    said = hacore("restart", cluster.scope, name, "--scheduled", at, "--force").done()
    assert said.out == f"Success: restart scheduled on member {name}\n"
    wait_for(lambda: row_of(hacore, name).get("Scheduled restart") == "2999-01-01T00:00:00+00:00", "the restart is shown")
    again = hacore("restart", cluster.scope, name, "--scheduled", at, stdin="y\n\n")
    assert again.code == 1
    assert again.err.endswith(f"Failed: another restart is already scheduled on member {name}\n")
    flushed = hacore("flush", cluster.scope, name, "restart", "--force").done()
    assert flushed.out == f"Success: flush scheduled restart for member {name}\n"
    wait_for(lambda: "Scheduled restart" not in row_of(hacore, name), "the restart is not shown any more")
    assert hacore("flush", cluster.scope, name, "restart").done().out == f"No scheduled restart on member {name}\n"


def test_reload_reaches_every_member(hacore: Command, cluster: Cluster) -> None:
    lines = hacore("reload", cluster.scope, "--force").done().out.splitlines()
    assert lines == [f"Reload request received for member {name} and will be processed within 1 seconds" for name in sorted(cluster.nodes)]


def test_reinit_creates_a_standby_again(hacore: Command, cluster: Cluster, replicas: list[ClusterNode]) -> None:
    node = replicas[0]
    mark = node.data_dir / "left-by-test"
    mark.touch()
    assert f"Success: reinitialize for member {node.name}" in hacore("reinit", cluster.scope, node.name, "--force", "--wait").done().out
    assert not mark.exists()


def test_reinit_takes_no_leader_and_nobody_who_is_not_named(hacore: Command, cluster: Cluster, leader: ClusterNode) -> None:
    said = hacore("reinit", cluster.scope, leader.name, "--force")
    assert (said.code, said.err) == (1, f"Error: No replica among {leader.name}\n")
    assert hacore("reinit", cluster.scope, "--force").code == 2


def test_wrong_credentials_are_refused_by_the_member_and_change_nothing(hacore: Command, cluster: Cluster, tmp_path: Path) -> None:
    wrong = yaml.safe_load(hacore.config.read_text())
    wrong["ctl"]["authentication"]["password"] = "guessed"
    path = tmp_path / "wrong.yml"
    path.write_text(yaml.safe_dump(wrong))
    said = Command(path)("pause")
    assert said.code == 1
    assert "status code=401" in said.err
    assert "Maintenance" not in hacore("list").done().out
