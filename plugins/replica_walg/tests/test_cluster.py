"""Whole clusters: WAL goes into the repository, backups are made by the cluster, standbys and another cluster are made of them."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hacore.testing.cluster import Cluster, ClusterNode, sqlite_store
from hacore.testing.workdir import give_away
from plugins.replica_walg.tests.storages import Folder, Site, Storage

pytestmark = [pytest.mark.timeout(400)]

HACORE = Path(sys.executable).with_name("hacore")
COMMAND_S = 120
Made = Callable[..., Cluster]


@pytest.fixture
def make_cluster(site: Site) -> Iterator[Made]:
    with contextlib.ExitStack() as stack:

        def make(nodes: int, *, storage: Storage = site.storage, bootstrap: object = None, scope: str = "demo", **more: object) -> Cluster:
            section = site.section(threshold_backup_size_percentage=1000)
            section["environment"] = {**storage.environment, **more}
            local = {
                "archive": "walg",
                "backup": {"plugin": "walg"},
                "plugins": {"walg": section},
                "postgresql": {"create_replica_methods": ["walg", "basebackup"]},
                **({"bootstrap": bootstrap} if bootstrap else {}),
            }
            directory = site.new_directory(scope)
            give_away(directory)
            cluster = Cluster(directory, store=sqlite_store(directory), nodes=nodes, local={"*": local}, scope=scope, start=False)
            stack.callback(cluster.close)
            return cluster

        yield make


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


def with_linked_wal(site: Site) -> dict[str, Any]:
    """How a cluster begins whose first ``pg_wal`` is a link; WAL-G leaves links out of its backups."""
    place = site.new_directory("wal")
    give_away(place)
    return {"initdb": [{"waldir": str(place / "log")}]}


def test_a_standby_is_made_of_a_backup_and_of_the_leader_where_there_is_none(make_cluster: Made, site: Site) -> None:
    cluster = make_cluster(3, bootstrap=with_linked_wal(site))
    first, second, third = cluster.nodes.values()
    first.start()
    wait_archiving(cluster, first)
    first.query("CREATE TABLE public.one AS SELECT generate_series(1, 1000) AS number")
    assert (first.data_dir / "pg_wal").is_symlink()
    hacore(first, "backup", "run")
    first.query("INSERT INTO public.one VALUES (0)")
    first.query("SELECT pg_switch_wal()")
    hacore(first, "backup", "verify", listed(first)[0]["Backup"], "--restore")
    second.start()
    cluster.wait_ready([first, second])
    assert "pg_basebackup" not in made_by(second)
    assert not (second.data_dir / "pg_wal").is_symlink()
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
    cluster.wait_for(
        lambda: [one["Backup"] for one in listed(leader)] == [last["Backup"]], "what the retention does not keep goes by itself"
    )


def test_another_cluster_begins_with_a_backup_and_leaves_the_repository_alone(make_cluster: Made, site: Site, scratch: Path) -> None:
    origin = make_cluster(1, bootstrap=with_linked_wal(site))
    origin.start()
    (node,) = origin.nodes.values()
    wait_archiving(origin, node)
    node.query("CREATE TABLE public.one AS SELECT generate_series(1, 1000) AS number")
    hacore(node, "backup", "run")
    node.query("INSERT INTO public.one VALUES (0)")
    full = str(node.query("SELECT pg_walfile_name(pg_switch_wal())")[0][0])
    origin.wait_for(lambda: site.has_wal(full), "its WAL is archived")
    before = files_in(site.storage)
    source = {"environment": site.storage.environment}
    copy = make_cluster(
        1, storage=Folder(scratch / "other"), scope="copy", bootstrap={"method": "of_demo", "of_demo": {"plugin": "walg", "source": source}}
    )
    copy.start()
    (begun,) = copy.nodes.values()
    wait_archiving(copy, begun)
    copy.wait_for(lambda: copy.members().get(begun.name, {}).get("state") == "running", "it takes connections")  # it archives before
    assert begun.query("SELECT count(*) FROM public.one") == [(1001,)]
    hacore(begun, "backup", "run")
    assert len(listed(begun)) == 1
    assert before <= files_in(site.storage)
    assert not [path for path, _ in files_in(site.storage) - before if path.name.startswith("00000002")]


def files_in(storage: Storage) -> set[tuple[Path, int]]:
    """Everything in a directory of backups and WAL, with the time of its last change."""
    return {(path, path.stat().st_mtime_ns) for path in Path(storage.environment["WALG_FILE_PREFIX"]).rglob("*") if path.is_file()}
