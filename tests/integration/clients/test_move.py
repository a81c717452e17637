"""A cluster of Patroni becomes one of hacore, node by node, and goes back, while it takes writes."""

import json
from collections.abc import Iterator

import psutil
import pytest

from hacore.testing.history import HistoryReport, WriteLoad
from hacore.testing.mixed import MixedCluster, Product, wait_for
from hacore.testing.workdir import work_directory

pytestmark = [pytest.mark.xdist_group("move"), pytest.mark.timeout(300)]

HACORE, PATRONI = Product.HACORE, Product.PATRONI
DYNAMIC = {
    "ttl": 20,
    "loop_wait": 2,
    "retry_timeout": 3,
    "site": {"owner": "somebody", "since": 2019},  # of neither product
    "postgresql": {"use_pg_rewind": True, "parameters": {"work_mem": "5MB"}},
}


def command_of(process: psutil.Process) -> str:
    """The command line of a process; empty for one that has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


@pytest.fixture
def field_cluster(request: pytest.FixtureRequest) -> Iterator[MixedCluster]:
    """An etcd, and three nodes of which none has an agent yet."""
    with (
        work_directory("move-", session=request.session) as directory,
        MixedCluster(directory.path, ("n1", "n2", "n3"), dynamic=DYNAMIC) as cluster,
    ):
        yield cluster


def load_on(cluster: MixedCluster) -> WriteLoad:
    return WriteLoad({name: node.dsn for name, node in cluster.nodes.items()}).start()


def end_of(load: WriteLoad) -> HistoryReport:
    before = load.progress().acknowledged
    wait_for(lambda: load.progress().acknowledged > before + 20, "writes to go on")
    return load.stop()


def history_of(cluster: MixedCluster) -> list[list[object]]:
    found = json.loads(cluster.keys().get("history", "[]"))
    assert isinstance(found, list)
    return found


def wait_for_history(cluster: MixedCluster, length: int) -> list[list[object]]:
    wait_for(lambda: len(history_of(cluster)) == length, f"{length} lines of history")
    return history_of(cluster)


def test_in_a_mixed_cluster_switchovers_go_there_and_back_and_no_row_and_no_key_is_lost(field_cluster: MixedCluster) -> None:
    cluster = field_cluster
    cluster.start({"n1": PATRONI, "n2": PATRONI, "n3": HACORE})
    cluster.etcd.control("put", "/service/mixed/note", "of neither product")
    before = cluster.keys()
    load = load_on(cluster)

    cluster.switchover("n1", "n3")  # asked of Patroni
    cluster.wait_whole()
    first = wait_for_history(cluster, 1)
    among = cluster.keys()
    cluster.switchover("n3", "n1")  # asked of hacore
    cluster.wait_whole()
    second = wait_for_history(cluster, 2)
    after = cluster.keys()

    report = end_of(load)
    assert report.problems() == []
    assert before.keys() <= among.keys() <= after.keys()
    for key in ("config", "initialize", "note"):
        assert before[key] == among[key] == after[key]
    assert second[0] == first[0]
    assert [line[-1] for line in second] == ["n3", "n1"]
    assert (before["leader"], among["leader"], after["leader"]) == ("n1", "n3", "n1")
    own = json.loads(after["hacore"])
    assert own["holder"] == "n3"
    assert own["clean"] == own["instance"]  # it gave the lock back in order, and Patroni left its record alone


def move_primary(cluster: MixedCluster, name: str, product: Product) -> None:
    """Change the agent beside a running primary, as docs/moving-from-patroni.md says."""
    node = cluster[name]
    postmaster = node.postmaster
    cluster.patronictl("pause", "--wait")
    node.stop()
    assert node.postmaster == postmaster
    node.start(product)
    cluster.wait_whole()
    cluster.patronictl("resume", "--wait")
    cluster.wait_whole()
    assert node.postmaster == postmaster
    assert cluster.leader() == name


def move_standby(cluster: MixedCluster, name: str, product: Product) -> None:
    cluster[name].stop()
    cluster[name].start(product)
    cluster.wait_whole()


def test_node_by_node_to_hacore_and_back_without_a_restart_of_the_primary(field_cluster: MixedCluster) -> None:
    cluster = field_cluster
    cluster.start(dict.fromkeys(("n1", "n2", "n3"), PATRONI))
    before = cluster.keys()
    load = load_on(cluster)

    move_standby(cluster, "n2", HACORE)
    move_standby(cluster, "n3", HACORE)
    move_primary(cluster, "n1", HACORE)
    assert cluster["n1"].status()["hacore"]["fence"] == "partial"
    assert end_of(load).problems() == []
    assert cluster.keys().keys() - before.keys() <= {"hacore", "failover", "history"}
    assert {cluster.keys()[key] == before[key] for key in ("config", "initialize", "leader")} == {True}

    cluster.patronictl("restart", "mixed", "n1", "--force")
    cluster.wait_whole()
    assert cluster["n1"].status()["hacore"]["fence"] == "full"

    load = load_on(cluster)
    move_standby(cluster, "n2", PATRONI)
    move_standby(cluster, "n3", PATRONI)
    move_primary(cluster, "n1", PATRONI)
    assert end_of(load).problems() == []
    assert before.keys() <= cluster.keys().keys()
    assert cluster.keys()["config"] == before["config"]

    postmaster = cluster["n1"].postmaster
    cluster.patronictl("restart", "mixed", "n1", "--force")  # the guard, which is this server's parent, stands aside
    cluster.wait_whole()
    assert cluster["n1"].postmaster != postmaster
    wait_for(lambda: not any("guard" in command_of(process) for process in cluster["n1"].processes()), "the guard to go")
