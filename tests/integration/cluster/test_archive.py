"""Whole clusters with an archive of WAL: what goes there, what comes back, and what an archive that is away may not hold up."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hacore.testing.cluster import Cluster, ClusterNode, sqlite_store
from tests.integration.plugins.archive_in_a_directory import NAME, DirectoryArchive, install_distribution

pytestmark = [pytest.mark.timeout(300)]


@pytest.fixture
def store(cluster_directory: Path) -> DirectoryArchive:
    return DirectoryArchive(cluster_directory)


@contextmanager
def archived(directory: Path, store: DirectoryArchive, *, nodes: int = 2, **dynamic: Any) -> Iterator[Cluster]:
    """Run a cluster whose nodes have the plugin installed."""
    site = str(install_distribution(directory / "site"))
    local = {"*": {"archive": NAME, "plugins": {NAME: store.section}}}
    cluster = Cluster(directory, store=sqlite_store(directory), nodes=nodes, dynamic=dynamic, local=local, start=False)
    with cluster:
        for node in cluster.nodes.values():
            node.environment = {"PYTHONPATH": site}
        cluster.start()
        cluster.wait_ready()
        yield cluster


def switch_wal(node: ClusterNode) -> str:
    """Fill a segment with something, begin the next, and return the name of the one that is full."""
    node.query("CREATE TABLE IF NOT EXISTS public.t (x int)")
    node.query("INSERT INTO public.t SELECT generate_series(1, 100)")
    return str(node.query("SELECT pg_walfile_name(pg_switch_wal())")[0][0])


def archive_of(node: ClusterNode) -> dict[str, Any]:
    found: dict[str, Any] = node.status().get("hacore", {}).get("archive", {})
    return found


def is_own(node: ClusterNode) -> bool:
    return archive_of(node).get("identity") == "own"


def test_the_wal_of_a_cluster_is_archived_once_the_archive_is_known_to_be_its_own(cluster_directory: Path, store: DirectoryArchive) -> None:
    with archived(cluster_directory, store) as cluster:
        leader = cluster.the_leader()
        cluster.wait_for(lambda: is_own(leader), "the archive is its own")
        full = switch_wal(leader)
        cluster.wait_for(lambda: full in store.names(), "the segment is archived")
        shown = dict(leader.query("SELECT name, setting FROM pg_settings WHERE name ~ '^archive|^restore_command'"))
        assert (shown["archive_mode"], shown["archive_timeout"]) == ("on", "17")
        assert "secret" not in str(shown)
        assert shown["archive_command"].startswith("exec ")
        assert not leader.status().get("pending_restart")
        cluster.wait_for(lambda: not archive_of(leader).get("ready_files", 1), "nothing waits")
