"""One cluster of three hacore nodes on etcd for all clients; whoever disturbs it leaves it whole."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hacore.testing.mixed import MixedCluster, MixedNode, Product
from hacore.testing.workdir import work_directory

# Long enough for a machine that runs other tests beside these, short enough to wait for.
DYNAMIC = {
    "ttl": 20,
    "loop_wait": 2,
    "retry_timeout": 3,
    "maximum_lag_on_failover": 16777216,
    "hacore": {"ttl": 8, "loop_wait": 1, "retry_timeout": 2},
    "postgresql": {"use_pg_rewind": True, "parameters": {"max_connections": 60}},
}


@pytest.fixture(scope="session")
def running_cluster(request: pytest.FixtureRequest) -> Iterator[MixedCluster]:
    with (
        work_directory("clients-", session=request.session) as directory,
        MixedCluster(directory.path, ("n1", "n2", "n3"), dynamic=DYNAMIC, scope="clients") as cluster,
    ):
        cluster.start(dict.fromkeys(("n1", "n2", "n3"), Product.HACORE))
        yield cluster


@pytest.fixture
def cluster(running_cluster: MixedCluster) -> MixedCluster:
    """The cluster as every test finds it: whole, also when the test before failed with a node down."""
    for node in running_cluster.nodes.values():
        if node.agent is None:
            node.start(Product.HACORE)
    running_cluster.wait_whole()
    return running_cluster


@pytest.fixture
def leader(cluster: MixedCluster) -> MixedNode:
    return cluster[cluster.leader() or ""]


@pytest.fixture
def replicas(cluster: MixedCluster, leader: MixedNode) -> list[MixedNode]:
    return [node for node in cluster.nodes.values() if node is not leader]


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, check=False)
