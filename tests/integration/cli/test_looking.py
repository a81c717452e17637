"""Commands that only look, on a real cluster."""

import os
import subprocess

import pytest
import yaml

from hacore import __version__
from hacore.testing.cluster import Cluster, ClusterNode
from hacore.testing.waiting import wait_for
from hacore.testing.workdir import owner_of
from tests.integration.cli.command import DEADLINE_S, PROGRAM, Command

pytestmark = [pytest.mark.xdist_group("command line"), pytest.mark.timeout(300)]


def test_list_shows_every_member_to_people_and_programs(
    hacore: Command, cluster: Cluster, leader: ClusterNode, replicas: list[ClusterNode]
) -> None:
    rows = {row["Member"]: row for row in hacore("list", "-f", "json").done().json}
    assert sorted(rows) == sorted(cluster.nodes)
    assert (rows[leader.name]["Role"], rows[leader.name]["State"]) == ("Leader", "running")
    for node in replicas:
        row = rows[node.name]
        assert (row["Role"], row["State"], row["Receive Lag"], row["Replay Lag"]) == ("Replica", "streaming", 0, 0)
        assert row["Host"] == f"127.0.0.1:{node.pg_port}"
        assert row["TL"] == rows[leader.name]["TL"]
    table = hacore("list").done().out
    assert table.startswith(f"+ Cluster: {cluster.scope} (")
    assert all(name in table for name in cluster.nodes)
    assert "\x1b" not in table


def test_list_waits_for_a_cluster_that_is_not_whole(hacore: Command, replicas: list[ClusterNode]) -> None:
    name = replicas[0].name
    hacore("pause", "--wait").done()  # so that nobody starts the server again
    replicas[0].kill("postmaster")
    wait_for(lambda: hacore("list", "--wait", "--timeout", "0").code == 1, f"{name} is seen to be down")
    said = hacore("list", "--wait", "--timeout", "0")
    assert f"was not whole within 0 s: {name} is in state " in said.err
    hacore("resume").done()
    rows = hacore("list", "--wait", "-f", "json").done().json
    assert [row["State"] for row in rows if row["Member"] == name] == ["streaming"]


def test_topology_shows_the_standbys_below_the_leader(hacore: Command, leader: ClusterNode, replicas: list[ClusterNode]) -> None:
    members = [row["Member"] for row in hacore("topology", "-f", "json").done().json]
    assert members == [leader.name, *(f"+ {node.name}" for node in replicas)]


def test_dsn_is_that_of_the_leader_or_of_whom_is_wanted(hacore: Command, leader: ClusterNode, replicas: list[ClusterNode]) -> None:
    assert hacore("dsn").done().out == f"host=127.0.0.1 port={leader.pg_port}\n"
    assert hacore("dsn", "-r", "replica").done().out == f"host=127.0.0.1 port={replicas[0].pg_port}\n"
    assert hacore("dsn", "-m", replicas[1].name).done().out == f"host=127.0.0.1 port={replicas[1].pg_port}\n"
    refused = hacore("dsn", "-m", "nobody")
    assert (refused.code, refused.out, refused.err) == (1, "", "Error: Can not find a suitable member\n")


def test_version_asks_each_member(hacore: Command, cluster: Cluster) -> None:
    lines = hacore("version", cluster.scope).done().out.splitlines()
    assert lines[0] == f"hacore version {__version__}"
    assert [line.partition(" PostgreSQL ")[0] for line in lines[1:]] == [f"{name}: hacore {__version__}" for name in sorted(cluster.nodes)]


def test_explain_on_a_node_tells_the_rule_and_what_a_failover_would_need(
    on_node: Command, leader: ClusterNode, replicas: list[ClusterNode]
) -> None:
    found = on_node("explain", "-f", "json").done().json
    assert (found["member"], found["decision"]["rule"]) == (leader.name, "keep_leading")
    assert {one["member"]: one["obstacles"] for one in found["failover"]} == {node.name: [] for node in replicas}
    text = on_node("explain", "--rules").done().out
    assert "keep_leading (table leading)" in text
    assert "nothing: it can take over" in text


def test_explain_from_elsewhere_asks_all_members(hacore: Command, leader: ClusterNode, replicas: list[ClusterNode]) -> None:
    found = hacore("explain", "-f", "json").done().json
    rules = {one["member"]: one["rule"] for one in found["members"]}
    assert rules[leader.name].endswith("keep_leading")
    assert all(rules[node.name].endswith("keep_following") for node in replicas)
    assert {one["member"] for one in found["failover"]} == {node.name for node in replicas}
    assert "nothing: it can take over" in hacore("explain").done().out
    assert hacore("explain", "--rules").code == 1


def test_explain_config_shows_what_is_dynamic(on_node: Command, leader: ClusterNode) -> None:
    rows = {row["Key"]: row for row in on_node("explain-config", "-f", "json").done().json}
    assert (rows["hacore.ttl"]["Value"], rows["hacore.ttl"]["Origin"]) == (5, "dynamic")
    assert str(leader.config) in rows["postgresql.data_dir"]["Origin"]
    assert rows["postgresql.authentication.superuser.password"]["Value"] == "********"


def test_the_configuration_of_a_node_that_runs_is_good(on_node: Command, leader: ClusterNode) -> None:
    said = on_node("validate")
    assert said.done().out.startswith(f"{leader.config}: good")
    assert "listen" not in said.err


def test_what_the_user_that_runs_it_may_not_write_is_a_fault_and_root_is_told_to_look_as_that_user(
    cluster: Cluster, leader: ClusterNode
) -> None:
    config = cluster.directory / "elsewhere.yml"
    there = yaml.safe_load(leader.config.read_text())

    def validate(data_dir: str, **sections: object) -> subprocess.CompletedProcess[str]:
        config.write_text(yaml.safe_dump({**there, **sections, "postgresql": {**there["postgresql"], "data_dir": data_dir}}))
        user, group = owner_of(cluster.directory) or (None, None)
        command = [*PROGRAM, "validate", "-i", str(config)]
        return subprocess.run(
            command, user=user, group=group, extra_groups=[], capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )

    refused = validate("/usr/lib/hacore-data", log={"dir": "/usr/lib/hacore-log"})
    assert refused.returncode == 2
    assert {"postgresql.data_dir", "guard.state_dir", "log.dir"} <= {line.split(": ")[1] for line in refused.stderr.splitlines()}
    good = validate(there["postgresql"]["data_dir"])
    assert good.returncode == 0, good.stderr
    if os.geteuid() == 0:
        assert "run this as that user" in Command(leader.config)("validate").done().err


def test_the_address_of_the_store_is_enough_to_look(hacore: Command, cluster: Cluster) -> None:
    url = f"sqlite://{cluster.directory}/store.db"
    rows = hacore("--dcs-url", url, "list", cluster.scope, "-f", "json").done().json
    assert len(rows) == len(cluster.nodes)
