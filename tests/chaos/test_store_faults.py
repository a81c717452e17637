"""The store fails, or the way to it: scenarios 5, 7, 8, 9, 10 and 11 of safety.md 10."""

import signal
from http import HTTPStatus
from typing import Any

import pytest

from hacore.testing.cluster import Cluster, ClusterNode
from hacore.testing.faults.proxy import Fault
from hacore.testing.history import boot_s
from tests.chaos.clusters import on_all_stores, on_etcd, on_every_store, on_three_servers
from tests.chaos.judging import TTL_S, long_lease, writing
from tests.chaos.stores import EtcdAtWork, ServersAtWork, StoreAtWork

pytestmark = pytest.mark.timeout(240)
SETTLED_S = 2 * TTL_S


def etcd_of(store: StoreAtWork) -> EtcdAtWork:
    assert isinstance(store, EtcdAtWork)
    return store


def servers_of(store: StoreAtWork) -> ServersAtWork:
    assert isinstance(store, ServersAtWork)
    return store


def postmasters(cluster: Cluster) -> dict[str, list[int]]:
    return {name: node.pids("postmaster") for name, node in cluster.nodes.items()}


def leadership(store: StoreAtWork) -> dict[str, Any]:
    return {field: store.own().get(field) for field in ("holder", "token", "timeline", "store_id")}


def let_pass(cluster: Cluster, seconds: float) -> None:
    until = boot_s() + seconds
    cluster.wait_for(lambda: boot_s() >= until, "time to pass")


def wait_renewed(cluster: Cluster, store: StoreAtWork, times: int = 3) -> None:
    known = store.own().get("heartbeat", 0)
    cluster.wait_for(lambda: store.own().get("heartbeat", 0) >= known + times, "further renewals")


@on_every_store
def test_without_the_store_writes_end_in_time_and_afterwards_there_is_one_leader(cluster: Cluster, store: StoreAtWork) -> None:
    leader, known = cluster.the_leader(), leadership(store)
    with writing(cluster, store) as writes:
        lost_at = boot_s()
        with store.outage():
            let_pass(cluster, 2 * TTL_S)
            assert cluster.leader() is None
            back_at = boot_s()
        cluster.wait_ready()
        writes.rows_go_on()
        assert leadership(store)["timeline"] <= known["timeline"] + 1, "no series of timelines"
    writes.expect_losses_only_of(leader.name, since=lost_at)
    last = writes.report.last_ack(leader.name, before=back_at)
    assert last is not None
    assert last <= lost_at + TTL_S  # the last renewal that the store can have seen was sent before that
    assert last <= writes.renewals.fence_instant(leader.name, token=known["token"])


@on_etcd
def test_after_a_power_cut_that_the_store_outlasts_the_former_leader_goes_on(cluster: Cluster, store: StoreAtWork) -> None:
    leader, known = cluster.the_leader(), leadership(store)
    with store.outage():
        for node in cluster.nodes.values():
            node.kill("everything")
        for node in cluster.nodes.values():
            node.start()
        cluster.wait_for(lambda: all(node.rule for node in cluster.nodes.values()), "the agents are there")
        let_pass(cluster, TTL_S)
        assert leader.server_pids() == []
    assert cluster.wait_ready() is leader
    assert leadership(store)["timeline"] == known["timeline"]


@on_all_stores
def test_an_agent_that_is_started_again_in_a_pause_knows_of_it_without_the_store(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    standby = cluster.others(leader)[0]
    assert cluster.configure(pause=True).status == HTTPStatus.OK
    cluster.wait_for(lambda: all(node.status().get("pause") for node in cluster.nodes.values()), "all know of the pause")
    standby.kill("postmaster", signal.SIGINT)
    cluster.wait_for(lambda: not standby.server_pids(), "a person has stopped a server")
    before = postmasters(cluster)
    with store.outage():
        for node in (leader, standby) * 2:
            node.restart()
            cluster.wait_for(lambda one=node: one.rule, "the agent is there")  # type: ignore[misc]
        let_pass(cluster, TTL_S)
        assert postmasters(cluster) == before
    cluster.wait_for(lambda: cluster.configure(pause=None).status == HTTPStatus.OK, "the store answers again")
    cluster.wait_for(lambda: not any(node.status().get("pause") for node in cluster.nodes.values()), "all know that it is over")
    cluster.wait_ready()


@on_three_servers
def test_a_primary_cut_off_from_the_store_ends_its_writes_in_time_and_another_takes_over(cluster: Cluster, store: StoreAtWork) -> None:
    leader, token = cluster.the_leader(), store.own()["token"]
    with writing(cluster, store) as writes:
        cut_at = boot_s()
        with servers_of(store).suffering(Fault(swallow_requests=True, refuse=True), leader.name):
            other = cluster.the_leader(other_than=leader.name)
            writes.rows_go_on()
            assert not leader.is_ok("/primary")
        assert cluster.wait_ready() is other
    last = writes.report.last_ack(leader.name)
    assert last is not None
    assert last <= writes.renewals.fence_instant(leader.name, token=token)
    writes.expect_losses_only_of(leader.name, since=cut_at)
    writes.expect_writes_of_others_only_after(leader.name, cut_at)


@on_three_servers
def test_the_loss_of_the_leader_of_the_store_changes_nothing(cluster: Cluster, store: StoreAtWork) -> None:
    known, servers = leadership(store), postmasters(cluster)
    with long_lease(cluster, store, ttl_s=30.0), writing(cluster, store) as writes:  # it outlasts an election of the store's
        servers_of(store).lose_leader()
        let_pass(cluster, SETTLED_S)
        wait_renewed(cluster, store)
        writes.rows_go_on()
        servers_of(store).bring_back()
    writes.expect_nothing_lost()
    assert leadership(store) == known
    assert postmasters(cluster) == servers


@on_three_servers
def test_without_a_quorum_of_the_store_writes_end_in_time_and_afterwards_there_is_one_leader(cluster: Cluster, store: StoreAtWork) -> None:
    leader, known = cluster.the_leader(), leadership(store)
    with writing(cluster, store) as writes:
        lost_at = boot_s()
        servers_of(store).lose_majority()
        let_pass(cluster, 2 * TTL_S)
        assert cluster.leader() is None
        back_at = boot_s()
        servers_of(store).bring_back()
        cluster.wait_ready()
        writes.rows_go_on()
        assert leadership(store)["timeline"] <= known["timeline"] + 1, "no series of timelines"
    writes.expect_losses_only_of(leader.name, since=lost_at)
    last = writes.report.last_ack(leader.name, before=back_at)
    assert last is not None
    assert last <= lost_at + TTL_S  # the last renewal that the store can have seen was sent before that
    assert last <= writes.renewals.fence_instant(leader.name, token=known["token"])


@on_three_servers
def test_a_slow_store_changes_nothing_while_its_answers_come_within_the_budget(cluster: Cluster, store: StoreAtWork) -> None:
    known, servers = leadership(store), postmasters(cluster)
    with writing(cluster, store) as writes:
        with servers_of(store).suffering(Fault(answer_delay_s=0.1), *cluster.nodes):
            let_pass(cluster, SETTLED_S)
            wait_renewed(cluster, store)
        writes.rows_go_on()
    writes.expect_nothing_lost()
    assert leadership(store) == known
    assert postmasters(cluster) == servers


@on_three_servers
def test_answers_that_are_too_slow_end_the_writes_in_time(cluster: Cluster, store: StoreAtWork) -> None:
    leader, token = cluster.the_leader(), store.own()["token"]
    with writing(cluster, store) as writes:
        slow_at = boot_s()
        with servers_of(store).suffering(Fault(answer_delay_s=4.0), leader.name):
            other = cluster.the_leader(other_than=leader.name)
            writes.rows_go_on()
        assert cluster.wait_ready() is other
    writes.expect_losses_only_of(leader.name, since=slow_at)
    writes.expect_writes_of_others_only_after(leader.name, slow_at)
    last = writes.report.last_ack(leader.name)
    assert last is not None
    # Renewals arrive whose answers are too late to count, so F is that of the last one before the fault.
    assert last <= slow_at + TTL_S
    assert last <= writes.renewals.fence_instant(leader.name, token=token)


@on_three_servers
def test_a_renewal_whose_answer_is_lost_is_looked_up_and_costs_nothing(cluster: Cluster, store: StoreAtWork) -> None:
    leader, known, servers = cluster.the_leader(), leadership(store), postmasters(cluster)
    with writing(cluster, store) as writes:
        for _ in range(3):
            with servers_of(store).suffering(Fault(swallow_answers=True), leader.name):
                let_pass(cluster, TTL_S / 5)
            wait_renewed(cluster, store)
        writes.rows_go_on()
    writes.expect_nothing_lost()
    assert leadership(store) == known
    assert postmasters(cluster) == servers


@on_all_stores
def test_when_all_keys_are_deleted_the_running_primary_writes_them_again(cluster: Cluster, store: StoreAtWork) -> None:
    leader, servers, before = cluster.the_leader(), postmasters(cluster), store.records()
    on_timeline = cluster.members()[leader.name]["timeline"]
    with writing(cluster, store) as writes:
        store.delete()
        cluster.wait_for(lambda: set(store.records()) >= {"initialize", "config", "leader", "hacore", "status"}, "the keys are back")
        let_pass(cluster, SETTLED_S)
        wait_renewed(cluster, store)
        writes.rows_go_on()
        assert cluster.wait_ready() is leader
    writes.expect_nothing_lost()
    after = store.records()
    assert (after["initialize"], after["config"]) == (before["initialize"], before["config"])
    assert postmasters(cluster) == servers
    assert cluster.members()[leader.name]["timeline"] == on_timeline


def expect_whole_without_a_second_writer(cluster: Cluster, store: StoreAtWork, leader: ClusterNode, harm: Any) -> None:
    with writing(cluster, store) as writes:
        harmed_at = boot_s()
        harm()
        cluster.wait_for(lambda: "leader" in store.records(), "somebody holds the lock")
        let_pass(cluster, SETTLED_S)
        cluster.wait_ready()
        writes.rows_go_on()
    writes.expect_losses_only_of(leader.name, since=harmed_at)
    other = writes.report.first_ack_after(harmed_at, but=leader.name)
    if other is not None:
        writes.expect_writes_of_others_only_after(leader.name, harmed_at)


@on_all_stores
def test_after_the_leader_key_was_deleted_the_same_leader_takes_it_again(cluster: Cluster, store: StoreAtWork) -> None:
    leader, servers, timeline = cluster.the_leader(), postmasters(cluster), store.own()["timeline"]
    expect_whole_without_a_second_writer(cluster, store, leader, lambda: store.delete("leader"))
    assert cluster.leader() is leader
    assert postmasters(cluster) == servers
    assert store.own()["timeline"] == timeline


@on_etcd
def test_after_its_lease_was_revoked_the_same_leader_takes_the_lock_again(cluster: Cluster, store: StoreAtWork) -> None:
    leader, servers, timeline = cluster.the_leader(), postmasters(cluster), store.own()["timeline"]
    expect_whole_without_a_second_writer(cluster, store, leader, etcd_of(store).revoke_lease_of_leader)
    assert cluster.leader() is leader
    assert postmasters(cluster) == servers
    assert store.own()["timeline"] == timeline


@on_etcd
def test_a_lock_that_the_store_keeps_after_its_holder_was_lost_counts_as_gone(cluster: Cluster, store: StoreAtWork) -> None:
    leader, token = cluster.the_leader(), store.own()["token"]
    with writing(cluster, store) as writes, etcd_of(store).keeping_lease_of_leader():
        lost_at = boot_s()
        leader.kill("everything")
        other = cluster.the_leader(other_than=leader.name)
        writes.rows_go_on()
        leader.start()
        assert cluster.wait_ready() is other
    assert store.own()["token"] == token + 1
    writes.expect_losses_only_of(leader.name, since=lost_at)
    writes.expect_writes_of_others_only_after(leader.name, lost_at)


@on_etcd
def test_a_former_leader_does_not_lead_by_a_lock_that_a_restored_store_brings_back(cluster: Cluster, store: StoreAtWork) -> None:
    former, copy = cluster.the_leader(), etcd_of(store).etcd.save()
    assert cluster.switchover().status == HTTPStatus.OK
    leader, token = cluster.wait_ready(), store.own()["token"]
    assert leader is not former
    with writing(cluster, store) as writes:
        restored_at = boot_s()
        etcd_of(store).etcd.restore(copy)
        cluster.wait_for(lambda: store.own()["token"] > token, "somebody leads under a token that nobody had before")
        cluster.wait_ready()
        writes.rows_go_on()
    writes.expect_losses_only_of(leader.name, since=restored_at)
