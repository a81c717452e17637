"""Patroni's own command line and one of its agents find a cluster of hacore on ZooKeeper as they would find one of their own there."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hacore.testing.cluster import Cluster
from hacore.testing.servers import locate
from hacore.testing.workdir import server_user
from tests.chaos.zookeeper_at_work import ZookeeperAtWork

pytestmark = pytest.mark.timeout(240)
# Times that both keep; the shorter ones are in force for as long as every member is hacore's.
MIXED = {"ttl": 20, "loop_wait": 2, "retry_timeout": 3, "hacore": {"ttl": 8, "loop_wait": 1, "retry_timeout": 2}}


@pytest.fixture
def store(scratch: Path) -> Iterator[ZookeeperAtWork]:
    with ZookeeperAtWork(scratch) as found:
        yield found


def patronictl(config: Path, *arguments: str) -> str:
    command = [str(locate("patroni").program("patronictl")), "-c", str(config), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd="/")
    assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
    return done.stdout


def test_it_lists_the_cluster_switches_over_and_edits_the_configuration(store: ZookeeperAtWork, scratch: Path) -> None:
    with Cluster(scratch, store=store.section, nodes=2) as cluster:
        leader = cluster.wait_ready()
        [standby] = cluster.others(leader)
        rows = {row["Member"]: row for row in json.loads(patronictl(leader.config, "list", "-f", "json"))}
        assert {name: (row["Role"], row["State"]) for name, row in rows.items()} == {
            leader.name: ("Leader", "running"),
            standby.name: ("Replica", "streaming"),
        }
        assert rows[leader.name]["Host"] == f"127.0.0.1:{leader.pg_port}"
        assert "use_pg_rewind: true" in patronictl(leader.config, "show-config")
        patronictl(leader.config, "edit-config", "-p", "work_mem=7MB", "--force")
        cluster.wait_for(lambda: standby.query("SHOW work_mem") == [("7MB",)], "the new setting")
        said = patronictl(leader.config, "switchover", "--leader", leader.name, "--candidate", standby.name, "--force")
        assert f'Successfully switched over to "{standby.name}"' in said
        assert cluster.wait_ready() is standby
        assert store.records()["leader"] == standby.name
        assert set(store.records()) >= {"initialize", "config", "leader", "hacore", "status", f"members/{leader.name}"}


@pytest.mark.slow
def test_an_agent_of_patroni_joins_as_a_standby_and_takes_over_when_it_is_asked_to(store: ZookeeperAtWork, scratch: Path) -> None:
    with Cluster(scratch, store=store.section, nodes=2, dynamic=MIXED) as cluster:
        leader = cluster.wait_ready()
        [node] = cluster.others(leader)
        node.end()
        user = server_user()
        with (scratch / "patroni.log").open("ab") as log:
            agent = subprocess.Popen(
                [str(locate("patroni").program("patroni")), str(node.config)], stdout=log, stderr=log, user=user, group=user, cwd=scratch
            )
        try:
            cluster.wait_for(lambda: '"replication_state":"streaming"' in store.records().get(f"members/{node.name}", ""), "it streams")
            said = patronictl(leader.config, "switchover", "--leader", leader.name, "--candidate", node.name, "--force")
            assert f'Successfully switched over to "{node.name}"' in said
            cluster.wait_for(lambda: store.records().get("leader") == node.name, "it leads")
            cluster.wait_for(lambda: '"replication_state":"streaming"' in store.records().get(f"members/{leader.name}", ""), "it follows")
        finally:
            agent.terminate()
            agent.wait(60)
