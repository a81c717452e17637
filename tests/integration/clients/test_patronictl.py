"""Patroni's own command line, unmodified from PyPI, drives a cluster of hacore."""

import json
import re

import pytest

from hacore.testing.mixed import MixedCluster, MixedNode, wait_for

pytestmark = pytest.mark.xdist_group("clients")


def test_list_shows_every_member_with_role_state_timeline_and_lag(cluster: MixedCluster, leader: MixedNode) -> None:
    rows = {row["Member"]: row for row in json.loads(cluster.patronictl("list", "-f", "json"))}
    assert sorted(rows) == ["n1", "n2", "n3"]
    for name, row in rows.items():
        is_leader = name == leader.name
        assert (row["Role"], row["State"]) == (("Leader", "running") if is_leader else ("Replica", "streaming"))
        assert row["Host"] == f"127.0.0.1:{cluster[name].pg_port}"
        assert row["TL"] == rows[leader.name]["TL"]
        if not is_leader:
            assert row["Receive Lag"] == row["Replay Lag"] == 0


def test_its_questions_are_answered(cluster: MixedCluster, leader: MixedNode, replicas: list[MixedNode]) -> None:
    assert f"port={leader.pg_port}" in cluster.patronictl("dsn", "-r", "leader")
    assert {f"port={node.pg_port}" for node in replicas} & set(cluster.patronictl("dsn", "-r", "replica").split())
    assert cluster.patronictl("topology").count("+ n") == 2
    assert "retry_timeout: 3" in cluster.patronictl("show-config")
    assert re.search(r"n1: Patroni 4\.1\.\d+ PostgreSQL \d+", cluster.patronictl("version", "clients"))


def test_switchover_moves_the_leader_and_history_tells_it(cluster: MixedCluster, leader: MixedNode, replicas: list[MixedNode]) -> None:
    candidate = replicas[0].name
    said = cluster.patronictl("switchover", "--leader", leader.name, "--candidate", candidate, "--force")
    assert f'Successfully switched over to "{candidate}"' in said
    cluster.wait_whole()
    assert cluster.leader() == candidate
    wait_for(lambda: len(cluster.patronictl("history", "-f", "tsv").splitlines()) > 1, "a line of history")
    head, *lines = cluster.patronictl("history", "-f", "tsv").splitlines()
    assert head.split("\t") == ["TL", "LSN", "Reason", "Timestamp", "New Leader"]
    assert lines[-1].split("\t")[-1] == candidate


def test_a_switchover_that_names_the_wrong_leader_is_refused(cluster: MixedCluster, replicas: list[MixedNode]) -> None:
    with pytest.raises(AssertionError, match="is not the leader of cluster clients"):
        cluster.patronictl("switchover", "--leader", replicas[0].name, "--candidate", replicas[1].name, "--force")


def test_a_scheduled_switchover_is_shown_and_taken_back(cluster: MixedCluster, leader: MixedNode) -> None:
    said = cluster.patronictl("switchover", "--leader", leader.name, "--scheduled", "2999-01-01T00:00+00", "--force")
    assert "Switchover scheduled" in said
    assert "Switchover scheduled at: 2999-01-01T00:00:00+00:00" in cluster.patronictl("list")
    assert "deleted" in cluster.patronictl("flush", "clients", "switchover", "--force")
    assert "Switchover scheduled" not in cluster.patronictl("list")


def test_pause_and_resume_reach_every_member(cluster: MixedCluster, leader: MixedNode) -> None:
    postmaster = leader.postmaster
    assert "Success: cluster management is paused" in cluster.patronictl("pause", "--wait")
    assert "Maintenance mode: on" in cluster.patronictl("list")
    assert all(node.status().get("pause") for node in cluster.nodes.values())
    assert "Success: cluster management is resumed" in cluster.patronictl("resume", "--wait")
    assert "Maintenance mode" not in cluster.patronictl("list")
    assert leader.postmaster == postmaster


def test_edit_config_changes_postgresql_on_every_member(cluster: MixedCluster) -> None:
    assert "Configuration changed" in cluster.patronictl("edit-config", "-p", "work_mem=9MB", "-s", "loop_wait=3", "--force")
    for node in cluster.nodes.values():
        wait_for(lambda node=node: node.query("SHOW work_mem") == [("9MB",)], f"work_mem on {node.name}")  # type: ignore[misc]
    assert "loop_wait: 3" in cluster.patronictl("show-config")
    assert "Configuration changed" in cluster.patronictl("edit-config", "-p", "work_mem=null", "-s", "loop_wait=2", "--force")
    assert "work_mem" not in cluster.patronictl("show-config")
    assert "Not changed" in cluster.patronictl("edit-config", "-s", "loop_wait=2", "--force")


def test_restart_carries_out_a_change_that_waits_for_one(cluster: MixedCluster) -> None:
    cluster.patronictl("edit-config", "-p", "max_connections=70", "--force")

    def pending() -> list[str]:
        return [row["Member"] for row in json.loads(cluster.patronictl("list", "-f", "json")) if row.get("Pending restart")]

    wait_for(lambda: sorted(pending()) == ["n1", "n2", "n3"], "every member to say that a restart is pending")
    assert "max_connections: 60->70" in cluster.patronictl("list")
    said = cluster.patronictl("restart", "clients", "--pending", "--force")
    assert said.count("Success: restart on member") == 3
    cluster.wait_whole()
    assert [node.query("SHOW max_connections") for node in cluster.nodes.values()] == [[("70",)]] * 3
    wait_for(lambda: pending() == [], "no restart to be pending")


def test_a_scheduled_restart_is_shown_and_taken_back(cluster: MixedCluster, replicas: list[MixedNode]) -> None:
    name = replicas[0].name
    assert "scheduled" in cluster.patronictl("restart", "clients", name, "--scheduled", "2999-01-01T00:00+00", "--force")
    wait_for(lambda: "2999-01-01T00:00:00+00:00" in cluster.patronictl("list", "-e"), "the schedule to be shown")
    assert "Success: flush scheduled restart" in cluster.patronictl("flush", "clients", name, "restart", "--force")


def test_reload_is_taken_by_every_member(cluster: MixedCluster) -> None:
    assert cluster.patronictl("reload", "clients", "--force").count("Reload request received for member") == 3


def test_reinit_creates_a_replica_again(cluster: MixedCluster, replicas: list[MixedNode]) -> None:
    node = replicas[0]
    mark = node.data_dir / "left-by-test"
    mark.touch()
    said = cluster.patronictl("reinit", "clients", node.name, "--force", "--wait")
    assert f"Success: reinitialize for member {node.name}" in said
    cluster.wait_whole()
    assert not mark.exists()


def test_reinit_of_the_leader_is_refused(cluster: MixedCluster, leader: MixedNode) -> None:
    with pytest.raises(AssertionError, match="No replica among provided members"):
        cluster.patronictl("reinit", "clients", leader.name, "--force")
    cluster.wait_whole()
