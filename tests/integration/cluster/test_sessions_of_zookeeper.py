"""An agent on ZooKeeper that is killed and started again: its session, and with it the lock, is the one of before."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hacore.testing.cluster import Cluster
from tests.chaos.stores import PREFIX, ZookeeperAtWork

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def store(scratch: Path) -> Iterator[ZookeeperAtWork]:
    with ZookeeperAtWork(scratch) as found:
        yield found


def test_an_agent_that_was_killed_goes_on_with_its_session(store: ZookeeperAtWork, scratch: Path) -> None:
    def session() -> tuple[int, int]:
        with store.asked() as client:
            leader, member = client.exists(f"{PREFIX}leader"), client.exists(f"{PREFIX}members/n1")
            return leader.ephemeralOwner, member.ephemeralOwner

    with Cluster(scratch, store=store.section, nodes=1) as cluster:
        node = cluster.wait_ready()
        cluster.wait_for(lambda: node.rule == "keep_leading", "it leads")
        before, postmaster, heartbeat = session(), node.pid("postmaster"), store.own()["heartbeat"]
        [killed] = node.kill("agent")
        node.wait_for_another("agent", than=killed)
        cluster.wait_for(lambda: store.own()["heartbeat"] > heartbeat + 2, "renewals")
        assert session() == before
        assert node.pid("postmaster") == postmaster
        assert store.own()["token"] == 1


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
