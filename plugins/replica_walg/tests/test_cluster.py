"""Whole clusters: WAL goes into the repository, backups are made by the cluster, and standbys are made of them, or else of the leader."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hacore.testing.cluster import Cluster, ClusterNode, sqlite_store
from plugins.replica_walg.tests.storages import Site

pytestmark = [pytest.mark.timeout(400)]

HACORE = Path(sys.executable).with_name("hacore")
COMMAND_S = 120
Made = Callable[..., Cluster]


@pytest.fixture
def make_cluster(site: Site, scratch: Path) -> Iterator[Made]:
    clusters: list[Cluster] = []

    def make(nodes: int, **environment: object) -> Cluster:
        section = site.section(threshold_backup_size_percentage=1000)
        section["environment"] = {**site.storage.environment, **environment}
        local = {
            "archive": "walg",
            "backup": {"plugin": "walg"},
            "plugins": {"walg": section},
            "postgresql": {"create_replica_methods": ["walg", "basebackup"]},
        }
        clusters.append(Cluster(scratch, store=sqlite_store(scratch), nodes=nodes, local={"*": local}, start=False))
        return clusters[0]

    yield make
    for cluster in clusters:
        cluster.close()


def hacore(node: ClusterNode, *words: str) -> str:
    """Run ``hacore`` on a node, and return what it printed."""
    done = subprocess.run([str(HACORE), "-c", str(node.config), *words], capture_output=True, text=True, timeout=COMMAND_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def listed(node: ClusterNode) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(hacore(node, "backup", "list", "-f", "json"))
    return found


def made_by(node: ClusterNode) -> str:
    """The label of the backup that a node was made of."""
    return (node.data_dir / "backup_label.old").read_text()


def archive_of(node: ClusterNode) -> dict[str, Any]:
    """What a node shows of its archive."""
    found: dict[str, Any] = node.status().get("hacore", {}).get("archive", {})
    return found


def wait_archiving(cluster: Cluster, node: ClusterNode) -> None:
    cluster.wait_for(lambda: archive_of(node).get("identity") == "own", "the repository is known to be this cluster's")


def test_a_standby_is_made_of_a_backup_and_of_the_leader_where_there_is_none(make_cluster: Made, site: Site) -> None:
    cluster = make_cluster(3)
    first, second, third = cluster.nodes.values()
    first.start()
    wait_archiving(cluster, first)
    first.query("CREATE TABLE public.one AS SELECT generate_series(1, 1000) AS number")
    hacore(first, "backup", "run")
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


def test_a_cluster_makes_checks_and_removes_its_backups_and_they_are_the_database(make_cluster: Made) -> None:
    cluster = make_cluster(2, WALG_DELTA_MAX_STEPS=2)
    cluster.start()
    leader = cluster.wait_ready()
    (standby,) = cluster.others(leader)
    wait_archiving(cluster, leader)
    leader.query("CREATE TABLE public.one AS SELECT generate_series(1, 1000) AS number")
    hacore(leader, "backup", "run", "--member", leader.name)
    hacore(leader, "backup", "run", "--member", leader.name)
    hacore(leader, "backup", "run", "--member", standby.name, "--kind", "full")
    full, delta, last = listed(leader)
    labels = [json.loads(hacore(leader, "backup", "info", one["Backup"], "-f", "json"))["labels"] for one in (full, delta, last)]
    assert [one["member"] for one in labels] == [leader.name, leader.name, standby.name]
    assert "_D_" in delta["Backup"]
    leader.query("SELECT pg_switch_wal()")
    hacore(leader, "backup", "verify", delta["Backup"], "--restore")
    hacore(leader, "backup", "verify")
    assert cluster.configure(hacore={"backup": {"retention": {"min_count": 1}}}).status == 200
    hacore(leader, "backup", "expire")
    assert [one["Backup"] for one in listed(leader)] == [last["Backup"]]
