"""Each row of the table of docs/architecture.md: exactly that process is killed or stopped while sessions commit all the while."""

import signal

import pytest

from hacore.testing.cluster import Cluster, ClusterNode
from hacore.testing.history import HistoryReport, boot_s
from tests.chaos.clusters import on_all_stores
from tests.chaos.judging import AT_ONCE_S, TTL_S, long_lease, writing
from tests.chaos.stores import StoreAtWork

pytestmark = [on_all_stores, pytest.mark.timeout(240)]


def last_of_sessions_older_than(report: HistoryReport, node: ClusterNode, event_at: float) -> float:
    """When the last row was sent that a session from before the event got an acknowledgement for."""
    return max(span.end for span in report.spans if span.node == node.name and span.begin < event_at)


def test_a_killed_agent_comes_back_and_adopts_the_server_that_ran_on(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    postmaster, own = leader.pid("postmaster"), store.own()
    with long_lease(cluster, store), writing(cluster, store) as writes:
        [agent] = leader.kill("agent")
        leader.wait_for_another("agent", than=agent)
        seen = store.own()["heartbeat"]
        cluster.wait_for(lambda: store.own()["heartbeat"] > seen + 5, "renewals of the new agent")
        writes.rows_go_on()
    writes.expect_nothing_lost()
    assert leader.pid("postmaster") == postmaster
    assert (store.own()["holder"], store.own()["token"]) == (leader.name, own["token"])
    assert set(writes.report.acks) == {leader.name}


def test_a_stopped_agent_loses_its_lease_and_no_other_node_writes_before_the_writes_here_have_ended(
    cluster: Cluster, store: StoreAtWork
) -> None:
    leader = cluster.the_leader()
    token = store.own()["token"]
    with writing(cluster, store) as writes:
        stopped_at = boot_s()
        [agent] = leader.stop("agent")
        cluster.the_leader(other_than=leader.name)
        writes.rows_go_on()
        cluster.wait_for(lambda: agent not in leader.pids("agent"), "the stopped agent is killed by main")
        cluster.wait_ready()
    writes.expect_losses_only_of(leader.name, since=stopped_at)
    last = writes.report.last_ack(leader.name)
    assert last is not None
    assert last <= writes.renewals.fence_instant(leader.name, token=token)
    writes.expect_writes_of_others_only_after(leader.name, stopped_at)


def test_an_agent_that_is_back_before_the_fence_changes_nothing(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    postmaster, own = leader.pid("postmaster"), store.own()
    with writing(cluster, store) as writes:
        leader.stop("agent")
        stopped_at = boot_s()
        cluster.wait_for(lambda: boot_s() > stopped_at + TTL_S / 5, "a fifth of the lease")
        leader.cont("agent")
        cluster.wait_for(lambda: store.own()["heartbeat"] > own["heartbeat"] + 3, "further renewals")
        writes.rows_go_on()
    writes.expect_nothing_lost()
    assert leader.pid("postmaster") == postmaster
    assert store.own()["token"] == own["token"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_without_its_rest_server_a_leader_goes_on(cluster: Cluster, store: StoreAtWork, number: signal.Signals) -> None:
    leader = cluster.the_leader()
    agent, postmaster, own = leader.pid("agent"), leader.pid("postmaster"), store.own()
    with writing(cluster, store) as writes:
        [rest] = leader.send("rest", number)
        cluster.wait_for(lambda: store.own()["heartbeat"] >= own["heartbeat"] + 2 * TTL_S, "renewals of two leases")
        writes.rows_go_on()
        if number == signal.SIGSTOP:
            leader.cont("rest")
        else:
            leader.wait_for_another("rest", than=rest)
    writes.expect_nothing_lost()
    assert (leader.pid("agent"), leader.pid("postmaster")) == (agent, postmaster)
    assert store.own()["token"] == own["token"]
    cluster.wait_for(lambda: leader.is_ok("/primary"), "the REST server answers")


def test_a_killed_main_takes_agent_and_rest_along_and_finds_the_guard_by_its_socket(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    guard, postmaster, own = leader.pid("guard"), leader.pid("postmaster"), store.own()
    with long_lease(cluster, store), writing(cluster, store) as writes:
        leader.kill("main")
        assert leader.process is not None
        leader.process.wait(10)
        cluster.wait_for(lambda: leader.pids("hacore") == [guard], "nothing is left but the guard")
        seen = store.own()["heartbeat"]
        leader.start()
        cluster.wait_for(lambda: store.own()["heartbeat"] > seen + 5, "renewals of the new agent")
        writes.rows_go_on()
    writes.expect_nothing_lost()
    assert (leader.pid("guard"), leader.pid("postmaster")) == (guard, postmaster)
    assert store.own()["token"] == own["token"]


def test_a_killed_guard_ends_the_server_at_once_and_it_is_started_in_place(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    old_servers, own = set(leader.server_pids()), store.own()
    with writing(cluster, store) as writes:
        killed_at = boot_s()
        leader.kill("guard")
        cluster.wait_for(lambda: not old_servers & set(leader.server_pids()), "the old server has gone")
        gone_at = boot_s()
        writes.rows_go_on()
    writes.expect_nothing_lost()
    assert gone_at < killed_at + AT_ONCE_S
    assert last_of_sessions_older_than(writes.report, leader, killed_at) < killed_at + AT_ONCE_S
    assert (store.own()["holder"], store.own()["token"]) == (leader.name, own["token"])
    assert set(writes.report.acks) == {leader.name}


def test_when_all_of_ours_are_killed_at_one_instant_the_kernel_ends_the_server_at_once(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    with writing(cluster, store) as writes:
        killed_at = boot_s()
        leader.kill("hacore")
        cluster.the_leader(other_than=leader.name)
        writes.rows_go_on()
        assert leader.pids("everything") == []
        leader.start()
        cluster.wait_ready()
    writes.expect_losses_only_of(leader.name, since=killed_at)
    last = writes.report.last_ack(leader.name, before=killed_at + 2 * TTL_S)
    assert last is not None
    assert last < killed_at + AT_ONCE_S
    writes.expect_writes_of_others_only_after(leader.name, killed_at)


def test_when_all_of_ours_are_stopped_the_timer_of_the_kernel_ends_the_server_in_time(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    token = store.own()["token"]
    with writing(cluster, store) as writes:
        stopped_at = boot_s()
        leader.stop("hacore")
        cluster.the_leader(other_than=leader.name)
        writes.rows_go_on()
        assert leader.pids("guard") == []
        leader.cont("hacore")
        cluster.wait_ready()
    writes.expect_losses_only_of(leader.name, since=stopped_at)
    last = writes.report.last_ack(leader.name)
    assert last is not None
    assert last <= writes.renewals.fence_instant(leader.name, token=token)
    writes.expect_writes_of_others_only_after(leader.name, stopped_at)


def test_a_stopped_guard_cannot_hold_up_the_fence_and_the_cluster_becomes_whole_again(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    with writing(cluster, store) as writes:
        stopped_at = boot_s()
        [guard] = leader.stop("guard")
        old = set(leader.server_pids())
        cluster.wait_for(lambda: guard not in leader.pids("guard"), "the kernel's timer has killed the stopped guard", TTL_S + AT_ONCE_S)
        cluster.wait_for(lambda: not old & set(leader.server_pids()), "the server has ended with it", TTL_S)
        ended_at = boot_s()
        cluster.wait_ready()
        writes.rows_go_on()
    writes.expect_losses_only_of(leader.name, since=stopped_at)
    assert last_of_sessions_older_than(writes.report, leader, stopped_at) < ended_at


def test_an_orderly_end_in_pause_leaves_guard_and_server_and_the_next_start_adopts_them(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    guard, postmaster, own = leader.pid("guard"), leader.pid("postmaster"), store.own()
    with writing(cluster, store) as writes:
        assert cluster.configure(pause=True).status == 200
        cluster.wait_for(lambda: store.own().get("unfenced") == leader.name, "the pause is in force")
        assert leader.end() == 0
        assert leader.pids("hacore") == [guard]
        ended_at = boot_s()
        cluster.wait_for(lambda: boot_s() > ended_at + 1.5 * TTL_S, "more than a lease")
        leader.start()
        cluster.wait_for(lambda: leader.is_ok("/primary"), "the node leads again")
        assert cluster.configure(pause=None).status == 200
        cluster.wait_for(lambda: not store.own().get("unfenced"), "the pause is over")
        writes.rows_go_on()
    writes.expect_nothing_lost()
    assert (leader.pid("guard"), leader.pid("postmaster")) == (guard, postmaster)
    assert store.own()["holder"] == leader.name
    assert store.own()["token"] >= own["token"]
    assert set(writes.report.acks) == {leader.name}
