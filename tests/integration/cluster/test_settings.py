"""Settings that change while the cluster runs, right and wrong ones: scenario 20 of safety.md 10."""

import copy
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from hacore.testing.cluster import Cluster, ClusterNode
from hacore.testing.workdir import give_away
from tests.chaos.clusters import on_all_stores
from tests.chaos.judging import writing
from tests.chaos.stores import StoreAtWork

pytestmark = pytest.mark.timeout(240)
REFUSED = "it is refused as a whole"


@contextmanager
def settings_of(node: ClusterNode) -> Iterator[dict[str, Any]]:
    """The settings of a node, to be changed; put back in force at the end."""
    before = copy.deepcopy(node.settings)
    try:
        yield node.settings
    finally:
        node.settings = before
        node.write()
        node.reload()


def reload_and_wait_for_refusal(cluster: Cluster, node: ClusterNode) -> None:
    before = node.log.read_text().count(REFUSED)
    node.reload()
    cluster.wait_for(lambda: node.log.read_text().count(REFUSED) > before, "the settings are refused")


def break_text(settings: dict[str, Any]) -> str:
    return yaml.safe_dump(settings) + "\n  : [broken"


def break_value(settings: dict[str, Any]) -> str:
    return yaml.safe_dump({**settings, "postgresql": {**settings["postgresql"], "listen": "127.0.0.1:no-port"}})


def unknown_method(settings: dict[str, Any]) -> str:
    return yaml.safe_dump({**settings, "tags": "not a section"})


@on_all_stores
@pytest.mark.parametrize("harm", [break_text, break_value, unknown_method])
def test_a_wrong_file_is_refused_as_a_whole_and_the_old_settings_stay(cluster: Cluster, store: StoreAtWork, harm: Any) -> None:
    leader = cluster.the_leader()
    postmaster, token = leader.pid("postmaster"), store.own()["token"]
    with writing(cluster, store) as writes, settings_of(leader) as settings:
        settings["tags"] = {"spare": "yes"}
        settings["postgresql"]["parameters"]["work_mem"] = "5MB"
        leader.config.write_text(harm(settings))
        give_away(leader.config)
        reload_and_wait_for_refusal(cluster, leader)
        writes.rows_go_on()
        assert leader.query("SHOW work_mem") == [("4MB",)]
        assert "spare" not in leader.status().get("tags", {})
        leader.write()
        leader.reload()
        cluster.wait_for(lambda: leader.status().get("tags", {}).get("spare") == "yes", "the right file is taken")
        cluster.wait_for(lambda: leader.query("SHOW work_mem") == [("5MB",)], "a parameter of it is in force")
    writes.expect_nothing_lost()
    assert (leader.pid("postmaster"), store.own()["token"]) == (postmaster, token)
    cluster.wait_for(lambda: leader.query("SHOW work_mem") == [("4MB",)], "the old settings are back")


@on_all_stores
def test_another_leads_where_the_pre_promote_of_a_switchover_s_candidate_says_no(cluster: Cluster, store: StoreAtWork) -> None:
    candidate = cluster.others(cluster.the_leader())[0]
    with writing(cluster, store) as writes, settings_of(candidate) as settings:
        settings["postgresql"]["pre_promote"] = "/bin/false"
        settings["tags"] = {"spare": "yes"}
        candidate.write()
        candidate.reload()
        cluster.wait_for(lambda: candidate.status().get("tags", {}).get("spare") == "yes", "the file is read")
        cluster.switchover(candidate=candidate.name)
        cluster.wait_for(lambda: candidate.says("rule=promotion_failed"), "it has taken the lock, and was not promoted")
        cluster.the_leader(other_than=candidate.name)
        writes.rows_go_on()
        assert store.records().get("failover", "{}") == "{}"  # as annotations it is not there when it is blank
    writes.expect_nothing_lost()
    cluster.wait_ready()


@on_all_stores
def test_the_rest_server_stays_where_it_is_when_its_new_port_is_taken(cluster: Cluster, store: StoreAtWork) -> None:
    standby = cluster.others(cluster.the_leader())[0]
    with socket.socket() as taken, settings_of(standby) as settings:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings["restapi"]["listen"] = f"127.0.0.1:{taken.getsockname()[1]}"
        standby.write()
        standby.reload()
        cluster.wait_for(lambda: standby.says("configuration cannot be used, the old one stays"), "the REST server has tried")
        assert standby.is_ok("/replica")
    cluster.wait_ready()


@on_all_stores
def test_a_lower_limit_reaches_each_server_by_a_restart_in_either_order_and_no_standby_is_lost(
    cluster: Cluster, store: StoreAtWork
) -> None:
    leader = cluster.the_leader()
    first, second = cluster.others(leader)

    def limit(node: ClusterNode) -> str:
        return str(node.query("SHOW max_connections")[0][0])

    def change(value: int) -> None:
        assert cluster.configure(postgresql={"parameters": {"max_connections": value}}).status == 200
        for node in cluster.nodes.values():
            cluster.wait_for(lambda: node.status().get("pending_restart"), f"{node.name} waits for a restart")  # noqa: B023 - asked at once

    def restart(node: ClusterNode) -> None:
        reply = node.rest("/restart", method="POST", body={}, timeout_s=90)
        assert reply.status == 200, f"{node.name}: {reply.text}"
        cluster.wait_ready()

    with writing(cluster, store) as writes:
        change(50)
        restart(first)  # a standby may not be below its primary, so it starts with what that has
        assert limit(first) == "60"
        restart(leader)
        assert limit(leader) == "50"
        for node in (first, second):
            restart(node)
            assert limit(node) == "50"
        change(60)
        for node in (first, second, leader):
            restart(node)
            assert limit(node) == "60"
        writes.rows_go_on()
    writes.expect_nothing_lost()
    assert cluster.leader() is leader
