"""The primary is lost: its postmaster, its machine, its time, its WAL. Scenarios 1, 2, 4, 15 and 19 of safety.md 10."""

import contextlib
import json
import os
import signal

import pytest

from hacore.testing.cluster import Cluster, ClusterError, ClusterNode
from hacore.testing.history import boot_s
from tests.chaos.clusters import on_all_stores, on_etcd, on_every_store
from tests.chaos.judging import AT_ONCE_S, TTL_S, writing
from tests.chaos.stores import StoreAtWork

pytestmark = pytest.mark.timeout(240)
LOOP_WAIT_S = 1.0
PROMOTION_S = 10.0  # of a busy machine


def timeline(store: StoreAtWork) -> int:
    return int(store.own()["timeline"])


def pause_until(cluster: Cluster, instant: float) -> None:
    cluster.wait_for(lambda: boot_s() > instant, "time to pass")


@on_all_stores
def test_a_killed_postmaster_is_started_in_place_on_the_same_timeline(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    own, on_timeline = store.own(), timeline(store)
    with writing(cluster, store) as writes:
        for _ in range(2):
            [killed] = leader.kill("postmaster")
            leader.wait_for_another("postmaster", than=killed)
            writes.rows_go_on()
    writes.expect_nothing_lost()
    assert set(writes.report.acks) == {leader.name}
    assert (store.own()["holder"], store.own()["token"], timeline(store)) == (leader.name, own["token"], on_timeline)


@on_all_stores
def test_without_time_for_a_start_a_killed_postmaster_means_failover_at_once(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    assert cluster.configure(primary_start_timeout=0).status == 200
    cluster.wait_for(lambda: leader.rule == "keep_leading", "the leader knows")
    with writing(cluster, store) as writes:
        killed_at = boot_s()
        leader.kill("postmaster")
        cluster.the_leader(other_than=leader.name)
        writes.rows_go_on()
        gap_ms = writes.load.gap_ms(killed_at)
        cluster.wait_ready()
    assert cluster.configure(primary_start_timeout=None).status == 200
    writes.expect_losses_only_of(leader.name, since=killed_at)
    assert gap_ms is not None
    assert gap_ms < TTL_S * 1000, "at once: without waiting for the end of the lease"


@on_all_stores
def test_crashes_in_a_row_share_one_budget(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    budget_s = 4.0
    assert cluster.configure(primary_start_timeout=budget_s).status == 200
    with writing(cluster, store) as writes:
        began_at = boot_s()

        def crash_again() -> ClusterNode | None:
            if store.own()["holder"] == leader.name:
                with contextlib.suppress(ClusterError):
                    leader.kill("postmaster")
            found = cluster.leader()
            return None if found is leader else found

        other = cluster.wait_for(crash_again, "another node leads")
        took_s = boot_s() - began_at
        writes.rows_go_on()
        cluster.wait_ready()
    assert cluster.configure(primary_start_timeout=None).status == 200
    writes.expect_losses_only_of(leader.name, since=began_at)
    assert other.name != leader.name
    assert took_s < budget_s + TTL_S + PROMOTION_S


@on_every_store
def test_a_lost_machine_has_a_successor_in_time_and_comes_back_as_a_standby(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    with writing(cluster, store) as writes:
        killed_at = boot_s()
        leader.kill("everything")
        other = cluster.the_leader(other_than=leader.name)
        took_s = boot_s() - killed_at
        writes.rows_go_on()
        leader.start()
        assert cluster.wait_ready() is other
    writes.expect_losses_only_of(leader.name, since=killed_at)
    last = writes.report.last_ack(leader.name)
    assert last is not None
    assert last < killed_at + AT_ONCE_S
    assert took_s < TTL_S + LOOP_WAIT_S + 2 + PROMOTION_S


@on_etcd
def test_a_frozen_machine_acknowledges_nothing_new_after_the_thaw_and_rejoins_as_a_standby(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    with writing(cluster, store) as writes:
        frozen_at = boot_s()
        leader.stop("main")
        leader.stop("everything")
        other = cluster.the_leader(other_than=leader.name)
        writes.rows_go_on()
        thawed_at = boot_s()
        leader.cont("everything")
        writes.rows_go_on()
        assert cluster.wait_ready() is other
    writes.expect_losses_only_of(leader.name, since=frozen_at)
    last = writes.report.last_ack(leader.name)
    assert last is not None
    assert last < thawed_at + AT_ONCE_S  # of a row that was written before the freeze
    sent = [span.end for span in writes.report.spans if span.node == leader.name]
    assert max(sent) < frozen_at + AT_ONCE_S


def write_what_nobody_has(leader: ClusterNode) -> None:
    """Let the primary acknowledge a row that reaches no standby, and lose its machine at once."""
    leader.query("CREATE TABLE IF NOT EXISTS kept (id int)")
    leader.query("SELECT pg_switch_wal()")
    for pid, title in leader.server_titles().items():
        if "walsender" in title:
            os.kill(pid, signal.SIGSTOP)
    leader.query("CREATE TABLE nobody_has (id int)")
    leader.query("INSERT INTO nobody_has SELECT generate_series(1, 1000)")
    leader.kill("everything")


def has_table(node: ClusterNode, name: str) -> bool:
    return bool(node.query("SELECT to_regclass(%s) IS NOT NULL", (name,))[0][0])


@on_all_stores
def test_an_old_primary_with_wal_that_nobody_has_is_rewound(cluster: Cluster, store: StoreAtWork) -> None:
    old = cluster.the_leader()
    write_what_nobody_has(old)
    new = cluster.the_leader(other_than=old.name)
    inode = old.data_dir.stat().st_ino
    old.start()
    assert cluster.wait_ready() is new
    assert not has_table(old, "nobody_has")
    assert has_table(old, "kept")
    assert old.data_dir.stat().st_ino == inode
    assert old.says("rule=repair_diverged")


@on_all_stores
def test_an_old_primary_that_may_not_be_rewound_waits_for_leave_and_is_then_created_again(cluster: Cluster, store: StoreAtWork) -> None:
    old = cluster.the_leader()
    cluster.configure(postgresql={"use_pg_rewind": False})
    write_what_nobody_has(old)
    new = cluster.the_leader(other_than=old.name)
    old.start()
    cluster.wait_for(lambda: old.rule == "repair_diverged", "the old primary is parked")
    parked_at = boot_s()
    pause_until(cluster, parked_at + TTL_S)
    assert old.server_pids() == []
    assert (old.data_dir / "PG_VERSION").exists()
    cluster.configure(postgresql={"remove_data_directory_on_diverged_timelines": True})
    assert cluster.wait_ready() is new
    assert not has_table(old, "nobody_has")
    cluster.configure(postgresql={"use_pg_rewind": True, "remove_data_directory_on_diverged_timelines": None})


def leave_one_behind(cluster: Cluster, store: StoreAtWork) -> ClusterNode:
    """Stop one standby, write more than a failover may lose, wait until the store knows of it, and lose the others."""
    leader = cluster.the_leader()
    stale = cluster.others(leader)[0]
    for node in (leader, *cluster.others(leader)):
        node.query("CHECKPOINT")  # what a later rewind goes back to: the WAL from there on is still everywhere
    stale.end()
    leader.query("CREATE TABLE IF NOT EXISTS bulk AS SELECT generate_series(1, 100000) AS id")
    leader.query("INSERT INTO bulk SELECT generate_series(1, 100000)")
    position = int(leader.query("SELECT pg_current_wal_lsn() - '0/0'")[0][0])
    cluster.wait_for(lambda: recorded_position(store) >= position, "the position is recorded")
    for node in cluster.others(stale):
        node.kill("everything")
    return stale


def has_all_of_bulk(node: ClusterNode) -> bool:
    [[is_there]] = node.query("SELECT to_regclass('bulk') IS NOT NULL")
    return bool(is_there) and int(node.query("SELECT count(*) FROM bulk")[0][0]) % 100000 == 0


def recorded_position(store: StoreAtWork) -> int:
    return int(json.loads(store.records()["status"])["optime"])


@on_all_stores
def test_a_stale_node_that_starts_first_waits_until_a_newer_one_is_back(cluster: Cluster, store: StoreAtWork) -> None:
    stale = leave_one_behind(cluster, store)
    stale.start()
    started_at = boot_s()
    cluster.wait_for(lambda: stale.rule == "behind_the_record", "the stale node says why it waits")
    pause_until(cluster, started_at + 2 * TTL_S)
    assert cluster.leader() is None
    for node in cluster.others(stale):
        node.start()
    assert cluster.wait_ready() is not stale
    cluster.wait_for(lambda: has_all_of_bulk(stale), "it has replayed what it had missed")


@on_all_stores
def test_a_stale_node_is_promoted_by_the_force_of_a_person(cluster: Cluster, store: StoreAtWork) -> None:
    stale = leave_one_behind(cluster, store)
    stale.start()
    cluster.wait_for(lambda: stale.rule == "behind_the_record", "the stale node says why it waits")
    reply = stale.rest("/failover", method="POST", body={"candidate": stale.name}, timeout_s=60)
    assert reply.status == 200, reply.text
    assert cluster.the_leader() is stale
    for node in cluster.others(stale):
        node.start()
    assert cluster.wait_ready() is stale
