"""A store that refuses what is configured: the end of a node that begins, and nothing to one that runs."""

from pathlib import Path

import pytest

from hacore.agent.session import REFUSED_S
from hacore.testing.cluster import Cluster
from hacore.testing.workdir import give_away


@pytest.mark.timeout(300)
def test_what_the_store_refuses_ends_a_node_that_begins_and_costs_a_primary_nothing(cluster_directory: Path) -> None:
    place, aside = cluster_directory / "store", cluster_directory / "aside"
    section = {"sqlite": {"path": str(place / "store.db")}}
    with Cluster(cluster_directory, store=section, nodes=1, dynamic={"hacore": {"ttl": 20}}, start=False) as cluster:
        node = cluster["n1"]
        node.start()
        assert node.wait_end(within_s=REFUSED_S + 60) == 2
        assert node.says("no directory")

        place.mkdir()
        give_away(place)
        node.start()
        assert cluster.wait_ready() is node
        main, agent, postmaster = node.pid("main"), node.pid("agent"), node.pid("postmaster")
        place.rename(aside)
        node.kill("agent")
        another = node.wait_for_another("agent", than=agent)
        cluster.wait_for(lambda: node.says("the store refuses this configuration"), "the agent meets the refusal")
        assert (node.pid("main"), node.pid("agent"), node.pid("postmaster")) == (main, another, postmaster)
        aside.rename(place)
        assert cluster.wait_ready() is node
        assert (node.pid("main"), node.pid("agent"), node.pid("postmaster")) == (main, another, postmaster)
