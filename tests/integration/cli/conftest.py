"""One cluster for all commands, with a password on its REST API; whoever disturbs it leaves it whole."""

from collections.abc import Iterator

import pytest
import yaml

from hacore.testing.cluster import Cluster, ClusterNode, sqlite_store
from hacore.testing.workdir import work_directory
from tests.integration.cli.command import Command

AUTHENTICATION = {"username": "operator", "password": "it's a secret, ünd more"}


@pytest.fixture(scope="session")
def running_cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with work_directory("cli-", session=request.session) as directory:
        local = {"*": {"restapi": {"authentication": AUTHENTICATION}}}
        with Cluster(directory.path, store=sqlite_store(directory.path), local=local) as cluster:
            cluster.wait_ready()
            yield cluster


@pytest.fixture
def cluster(running_cluster: Cluster) -> Cluster:
    """The cluster as every test finds it: whole."""
    running_cluster.wait_ready()
    return running_cluster


@pytest.fixture
def leader(cluster: Cluster) -> ClusterNode:
    return cluster.the_leader()


@pytest.fixture
def replicas(cluster: Cluster, leader: ClusterNode) -> list[ClusterNode]:
    return cluster.others(leader)


@pytest.fixture
def hacore(cluster: Cluster) -> Command:
    """The command with the configuration of somebody's desk: store, scope, credentials."""
    path = cluster.directory / "client.yml"
    store = {"sqlite": {"path": str(cluster.directory / "store.db")}}
    path.write_text(yaml.safe_dump({"scope": cluster.scope, **store, "ctl": {"authentication": AUTHENTICATION}}, allow_unicode=True))
    return Command(path)


@pytest.fixture
def on_node(cluster: Cluster, leader: ClusterNode) -> Command:
    """The command with the configuration of the leader's node."""
    return Command(leader.config)
