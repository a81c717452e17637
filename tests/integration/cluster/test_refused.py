"""What stands in the way of a node that begins and costs one that runs nothing: a store that refuses it, a log that cannot be written."""

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


@pytest.mark.timeout(180)
def test_a_log_that_cannot_be_written_costs_a_primary_nothing_neither_at_a_start_nor_at_a_change(cluster_directory: Path) -> None:
    place, section = cluster_directory / "logs", {"sqlite": {"path": str(cluster_directory / "store.db")}}
    with Cluster(cluster_directory, store=section, nodes=1, dynamic={"hacore": {"ttl": 20}}, start=False) as cluster:
        node = cluster["n1"]
        node.settings["log"] = {"dir": str(place)}
        node.write()
        place.mkdir()
        give_away(place)
        node.start()
        cluster.wait_ready()
        agent, postmaster = node.pid("agent"), node.pid("postmaster")
        place.rename(cluster_directory / "aside")
        place.write_text("a file where the directory was")

        assert cluster.configure(pause=True).status == 200
        cluster.wait_for(lambda: node.status().get("pause"), "a dynamic change is in force")
        assert cluster.configure(pause=None).status == 200
        cluster.wait_for(lambda: not node.status().get("pause"), "the next one is")
        node.reload()
        cluster.wait_for(
            lambda: "reload refused" in (cluster_directory / "aside" / "patroni.log").read_text(), "a person's reload is refused"
        )

        node.kill("agent")
        another = node.wait_for_another("agent", than=agent)
        cluster.wait_for(lambda: node.says("log goes to standard error"), "the new agent says where its log goes")
        assert cluster.wait_ready() is node
        assert (node.pid("agent"), node.pid("postmaster")) == (another, postmaster)
