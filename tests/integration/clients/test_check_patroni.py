"""check_patroni, unmodified from PyPI, watches a cluster of hacore: each of its checks, well and ill."""

import json
from pathlib import Path

import pytest

from hacore.testing.mixed import MixedCluster, MixedNode
from hacore.testing.servers import locate
from tests.integration.clients.conftest import run

pytestmark = pytest.mark.xdist_group("clients")
OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3


def check(nodes: list[MixedNode], *arguments: str | Path) -> tuple[int, str]:
    endpoints = [word for node in nodes for word in ("-e", f"http://127.0.0.1:{node.rest_port}")]
    done = run(locate("check_patroni").program("check_patroni"), "--timeout", "10", *endpoints, *arguments)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("cluster_has_leader",), OK),
        (("cluster_has_replica", "-w", "2:", "-c", "1:"), OK),
        (("cluster_has_replica", "-w", "2:", "-c", "1:", "--max-lag", "10MB"), OK),
        (("cluster_has_replica", "-w", "3:", "-c", "1:"), WARNING),
        (("cluster_has_replica", "--sync-warning", "1:", "--sync-critical", "1:"), CRITICAL),
        (("cluster_node_count", "-w", "3:", "-c", "2:", "--healthy-warning", "3:", "--healthy-critical", "2:"), OK),
        (("cluster_node_count", "-c", "4:"), CRITICAL),
        (("cluster_has_scheduled_action",), OK),
        (("cluster_is_in_maintenance",), OK),
    ],
)
def test_checks_of_the_cluster(cluster: MixedCluster, arguments: tuple[str, ...], code: int) -> None:
    found, text = check(list(cluster.nodes.values()), *arguments)
    assert found == code, text


@pytest.mark.parametrize(
    ("arguments", "on_leader", "on_replica"),
    [
        (("node_is_alive",), OK, OK),
        (("node_is_leader",), OK, CRITICAL),
        (("node_is_leader", "--is-standby-leader"), CRITICAL, CRITICAL),
        (("node_is_primary",), OK, CRITICAL),
        (("node_is_replica",), CRITICAL, OK),
        (("node_is_replica", "--max-lag", "10MB"), CRITICAL, OK),
        (("node_is_replica", "--is-async"), CRITICAL, OK),
        (("node_is_replica", "--is-sync"), CRITICAL, CRITICAL),
        (("node_is_pending_restart",), OK, OK),
        (("node_patroni_version", "--patroni-version", "4.1.5"), OK, OK),
        (("node_patroni_version", "--patroni-version", "3.0.0"), CRITICAL, CRITICAL),
    ],
)
def test_checks_of_a_node(
    leader: MixedNode, replicas: list[MixedNode], arguments: tuple[str, ...], on_leader: int, on_replica: int
) -> None:
    for node, code in ((leader, on_leader), *((replica, on_replica) for replica in replicas)):
        found, text = check([node], *arguments)
        assert found == code, f"{node.name}: {text}"


def test_the_timeline_is_compared(leader: MixedNode) -> None:
    timeline = int(leader.status()["timeline"])
    assert check([leader], "node_tl_has_changed", "--timeline", str(timeline))[0] == OK
    assert check([leader], "node_tl_has_changed", "--timeline", str(timeline + 1))[0] == CRITICAL


def test_the_configuration_has_one_digest_on_every_node_and_another_after_a_change(cluster: MixedCluster, scratch: Path) -> None:
    state = scratch / "digest"
    nodes = list(cluster.nodes.values())
    check([nodes[0]], "cluster_config_has_changed", "--state-file", state, "--save")
    for node in nodes:
        assert check([node], "cluster_config_has_changed", "--state-file", state)[0] == OK
    cluster.patronictl("edit-config", "-p", "work_mem=7MB", "--force")
    assert check(nodes, "cluster_config_has_changed", "--state-file", state)[0] == CRITICAL
    cluster.patronictl("edit-config", "-p", "work_mem=null", "--force")
    assert check(nodes, "cluster_config_has_changed", "--state-file", state)[0] == OK


def test_maintenance_and_schedules_are_noticed(cluster: MixedCluster, leader: MixedNode) -> None:
    cluster.patronictl("switchover", "--leader", leader.name, "--scheduled", "2999-01-01T00:00+00", "--force")
    assert check([leader], "cluster_has_scheduled_action")[0] == CRITICAL
    cluster.patronictl("flush", "clients", "switchover", "--force")
    cluster.patronictl("pause", "--wait")
    assert check([leader], "cluster_is_in_maintenance")[0] == CRITICAL
    cluster.patronictl("resume", "--wait")
    assert json.loads(leader.ask("GET", "/cluster")[1]).get("pause") is None


def test_a_node_that_is_down_is_noticed(cluster: MixedCluster, replicas: list[MixedNode]) -> None:
    node = replicas[0]
    assert node.product is not None
    node.stop()
    assert check([node], "node_is_alive")[0] == UNKNOWN
    assert check(list(cluster.nodes.values()), "cluster_has_replica", "-w", "2:", "-c", "1:")[0] == WARNING
    node.start(node.product)
    cluster.wait_whole()
