"""An agent on ZooKeeper that is killed and started again: its session, and with it the lock, is the one of before."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from kazoo.client import KazooClient

from hacore.testing.cluster import Cluster, ClusterNode
from tests.chaos.stores import PREFIX
from tests.chaos.zookeeper_at_work import ZookeeperAtWork

pytestmark = pytest.mark.timeout(240)
PATIENT = {"hacore": {"ttl": 15, "loop_wait": 1, "retry_timeout": 3}}  # an agent has to be back before the fence, on a busy machine, too


@pytest.fixture
def store(scratch: Path) -> Iterator[ZookeeperAtWork]:
    with ZookeeperAtWork(scratch) as found:
        yield found


def test_an_agent_that_was_killed_goes_on_with_its_session(store: ZookeeperAtWork, scratch: Path) -> None:
    def session() -> tuple[int, int]:
        with store.asked() as client:
            leader, member = client.exists(f"{PREFIX}leader"), client.exists(f"{PREFIX}members/n1")
            return leader.ephemeralOwner, member.ephemeralOwner

    with Cluster(scratch, store=store.section, nodes=1, dynamic=PATIENT) as cluster:
        node = cluster.wait_ready()
        cluster.wait_for(lambda: node.rule == "keep_leading", "it leads")
        before, postmaster, heartbeat = session(), node.pid("postmaster"), store.own()["heartbeat"]
        [killed] = node.kill("agent")
        node.wait_for_another("agent", than=killed)
        cluster.wait_for(lambda: store.own()["heartbeat"] > heartbeat + 2, "renewals")
        assert session() == before
        assert node.pid("postmaster") == postmaster
        assert store.own()["token"] == 1


@pytest.mark.slow
def test_an_agent_that_was_killed_while_it_made_the_cluster_does_not_keep_the_lock_by_its_session(
    store: ZookeeperAtWork, scratch: Path
) -> None:
    with Cluster(scratch, store=store.section, nodes=1) as cluster:
        node = cluster["n1"]
        cluster.wait_for(lambda: "leader" in store.records(), "the lock")
        [killed] = node.kill("agent")
        node.wait_for_another("agent", than=killed)
        cluster.wait_for(lambda: node.rule == "keep_leading", "it leads")
        assert store.own()["token"] >= 1


@contextlib.contextmanager
def keeping_session(store: ZookeeperAtWork, node: ClusterNode) -> Iterator[None]:
    """Keep the session of a node alive, whatever becomes of its agent."""
    found = json.loads((node.data_dir.with_name(f"{node.data_dir.name}.hacore") / "zookeeper-session.json").read_text())
    client = KazooClient(hosts=store.zookeeper.endpoints, client_id=(int(found["session"]), bytes.fromhex(found["password"])), timeout=5.0)
    client.start(timeout=5.0)
    try:
        yield
    finally:
        client.stop()
        client.close()


@pytest.mark.slow
def test_a_lock_that_its_session_keeps_after_its_holder_was_lost_counts_as_gone(store: ZookeeperAtWork, scratch: Path) -> None:
    with Cluster(scratch, store=store.section, nodes=2) as cluster:
        leader = cluster.wait_ready()
        token = store.own()["token"]
        leader.kill("everything")
        with keeping_session(store, leader):
            other = cluster.the_leader(other_than=leader.name)
            assert store.own()["token"] == token + 1
            assert store.records()["leader"] == other.name
        leader.start()
        assert cluster.wait_ready() is other
