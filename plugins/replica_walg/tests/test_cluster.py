"""A whole cluster: WAL goes into the repository, one standby is made of a backup, the next of the leader: the repository is away."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hacore.testing.cluster import Cluster, ClusterNode, sqlite_store
from plugins.replica_walg.tests.storages import Site

pytestmark = [pytest.mark.timeout(300)]


@pytest.fixture
def cluster(site: Site, scratch: Path) -> Iterator[Cluster]:
    local = {
        "archive": "walg",
        "plugins": {"walg": site.section(threshold_backup_size_percentage=1000)},
        "postgresql": {"create_replica_methods": ["walg", "basebackup"]},
    }
    with Cluster(scratch, store=sqlite_store(scratch), nodes=3, local={"*": local}, start=False) as cluster:
        yield cluster


def made_by(node: ClusterNode) -> str:
    """The label of the backup that a node was made of."""
    return (node.data_dir / "backup_label.old").read_text()


def archive_of(node: ClusterNode) -> dict[str, Any]:
    """What a node shows of its archive."""
    found: dict[str, Any] = node.status().get("hacore", {}).get("archive", {})
    return found


def test_a_standby_is_made_of_a_backup_and_of_the_leader_where_there_is_none(cluster: Cluster, site: Site, scratch: Path) -> None:
    first, second, third = cluster.nodes.values()
    first.start()
    cluster.wait_for(lambda: archive_of(first).get("identity") == "own", "the repository is known to be this cluster's")
    first.query("CREATE TABLE public.one AS SELECT generate_series(1, 1000) AS number")
    (port,) = first.query("SHOW port")[0]
    place = {"PGHOST": str(scratch), "PGPORT": str(port), "PGUSER": "postgres"}
    full = str(first.query("SELECT pg_walfile_name(pg_switch_wal())")[0][0])
    cluster.wait_for(lambda: site.has_wal(full), "its WAL is archived")
    done = site.call("backup-push", str(first.data_dir), **place)
    assert done.returncode == 0, done.stderr
    first.query("INSERT INTO public.one VALUES (0)")
    second.start()
    cluster.wait_ready([first, second])
    assert "pg_basebackup" not in made_by(second)
    cluster.wait_for(lambda: second.query("SELECT count(*) FROM public.one") == [(1001,)], "the standby has everything")
    site.storage.spoil()
    third.start()
    cluster.wait_ready()
    assert "pg_basebackup" in made_by(third)
    cluster.wait_for(lambda: third.query("SELECT count(*) FROM public.one") == [(1001,)], "this one has everything, too")
    site.storage.mend()
