"""What a person plans: switchover, orderly end, pause, restart, reinitialize, and settings, right and wrong ones (scenario 20)."""

import json
import os
import signal

import pytest

from hacore.testing.cluster import Cluster, ClusterNode
from hacore.testing.cluster_node import Reply
from hacore.testing.history import boot_s
from tests.chaos.clusters import on_all_stores
from tests.chaos.judging import TTL_S, writing
from tests.chaos.stores import StoreAtWork

pytestmark = pytest.mark.timeout(240)


def pause(cluster: Cluster, store: StoreAtWork, leader: ClusterNode, **changes: object) -> None:
    """Begin maintenance, and wait until nobody fences the leader any more."""
    assert cluster.configure(pause=True, **changes).status == 200
    cluster.wait_for(lambda: store.own().get("unfenced") == leader.name, "the pause is in force")


@on_all_stores
def test_a_switchover_under_load_loses_nothing(cluster: Cluster, store: StoreAtWork) -> None:
    old = cluster.the_leader()
    candidate = cluster.others(old)[1]
    with writing(cluster, store, pace_s=0.002) as writes:
        asked_at = boot_s()
        reply = cluster.switchover(candidate=candidate.name)
        assert (reply.status, reply.text) == (200, f'Successfully switched over to "{candidate.name}"')
        writes.rows_go_on()
        gap_ms = writes.load.gap_ms(asked_at)
        assert cluster.wait_ready() is candidate
        writes.rows_go_on()
    writes.expect_nothing_lost()
    writes.expect_writes_of_others_only_after(old.name, asked_at)
    assert gap_ms is not None
    assert gap_ms < TTL_S * 1000, "the lock was given back, nobody waited for its end"


@on_all_stores
def test_an_orderly_end_of_the_leader_hands_over_at_once(cluster: Cluster, store: StoreAtWork) -> None:
    old = cluster.the_leader()
    with writing(cluster, store) as writes:
        asked_at = boot_s()
        assert old.end() == 0
        writes.rows_go_on()
        gap_ms = writes.load.gap_ms(asked_at)
        assert old.pids("everything") == []
        assert old.name not in cluster.members()
        old.start()
        assert cluster.wait_ready() is not old
    writes.expect_nothing_lost()
    assert gap_ms is not None
    assert gap_ms < TTL_S * 1000, "the lock was given back, nobody waited for its end"


@on_all_stores
def test_a_leader_that_ends_keeps_the_lock_until_a_standby_has_all_of_its_wal(cluster: Cluster, store: StoreAtWork) -> None:
    old = cluster.the_leader()
    old.query("CREATE TABLE late (line text)")
    receivers = [pid for node in cluster.others(old) for pid, title in node.server_titles().items() if "walreceiver" in title]
    assert len(receivers) == len(cluster.others(old))
    for pid in receivers:
        os.kill(pid, signal.SIGSTOP)  # it streams, and has not written what it is sent
    old.query("INSERT INTO late SELECT repeat('x', 100) FROM generate_series(1, 3000)")
    assert old.process is not None
    old.process.send_signal(signal.SIGTERM)
    waits = "waiting_for_candidate_at_end"
    cluster.wait_for(lambda: old.says(waits) or store.own().get("clean"), "the control file says shut down")
    assert not store.own().get("clean"), "the lock was given back while no standby had all"
    for pid in receivers:
        os.kill(pid, signal.SIGCONT)
    assert old.wait_end() == 0
    new = cluster.the_leader(other_than=old.name)
    assert new.query("SELECT count(*) FROM late") == [(3000,)]
    new.query("DROP TABLE late")
    old.start()
    cluster.wait_ready()


@on_all_stores
def test_in_pause_nothing_is_started_or_promoted_and_all_goes_on_after_it(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    standby = cluster.others(leader)[0]
    pause(cluster, store, leader)
    with writing(cluster, store) as writes:
        for node in (leader, standby):
            node.kill("postmaster", signal.SIGINT)
        cluster.wait_for(lambda: not leader.server_pids() and not standby.server_pids(), "the servers are down")
        down_at = boot_s()
        cluster.wait_for(lambda: boot_s() > down_at + 2 * TTL_S, "time to pass")
        assert leader.server_pids() == standby.server_pids() == []
        assert cluster.leader() is None
        assert cluster.configure(pause=None).status == 200
        cluster.wait_ready()
        writes.rows_go_on()
    writes.expect_nothing_lost()


@on_all_stores
def test_what_a_person_restarts_in_pause_runs_again_in_its_role(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    pause(cluster, store, leader)
    for node in (leader, cluster.others(leader)[0]):
        asked = "SELECT pg_is_in_recovery(), pg_postmaster_start_time()::text"
        ((role, began),) = node.query(asked)
        reply = node.rest("/restart", method="POST", body={})
        assert (reply.status, reply.text) == (200, "restarted successfully")
        ((now, again),) = node.query(asked)
        assert now == role
        assert again != began
    assert cluster.the_leader() is leader
    assert cluster.configure(pause=None).status == 200
    assert cluster.wait_ready() is leader


@on_all_stores
def test_a_primary_whose_restart_fails_in_pause_keeps_its_lock_and_runs_again_once_it_can(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    pause(cluster, store, leader)
    token = store.own()["token"]

    def preload(library: str | None) -> None:
        assert cluster.configure(postgresql={"parameters": {"shared_preload_libraries": library}}).status == 200

    preload("no_such_library")
    cluster.wait_for(lambda: leader.status().get("pending_restart"), "the setting waits for a restart")
    reply = leader.rest("/restart", method="POST", body={}, timeout_s=90)
    assert (reply.status, reply.text) == (503, "restart failed")
    preload(None)
    cluster.wait_for(lambda: leader.is_ok("/primary"), "it runs again, under its lock")
    assert store.own()["token"] == token
    assert cluster.configure(pause=None).status == 200
    assert cluster.wait_ready() is leader


@on_all_stores
def test_what_a_person_sets_in_pause_is_in_force_at_once_on_every_node(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    pause(cluster, store, leader)
    for wanted, shown in (("5MB", "5MB"), (None, "4MB")):
        assert cluster.configure(postgresql={"parameters": {"work_mem": wanted}}).status == 200
        cluster.wait_for(lambda: {node.query("SHOW work_mem")[0][0] for node in cluster.nodes.values()} == {shown}, shown)  # noqa: B023 - asked at once
    assert cluster.configure(pause=None).status == 200
    assert cluster.wait_ready() is leader


@on_all_stores
def test_a_store_that_is_emptied_in_a_pause_gets_its_records_back_and_the_pause_ends_when_a_person_says_so(
    cluster: Cluster, store: StoreAtWork
) -> None:
    leader = cluster.the_leader()
    pause(cluster, store, leader)
    before, began = store.records(), leader.query("SELECT pg_postmaster_start_time()")
    store.delete()
    cluster.wait_for(lambda: "config" in store.records() and "initialize" in store.records(), "the records are there again")
    after = store.records()
    assert after["initialize"] == before["initialize"]
    assert json.loads(after["config"]) == json.loads(before["config"])
    assert leader.query("SELECT pg_postmaster_start_time()") == began
    assert cluster.configure(pause=None).status == 200
    assert cluster.wait_ready() is leader


@on_all_stores
def test_a_primary_that_was_stopped_for_a_switchover_in_a_pause_runs_again_when_its_candidate_cannot_take_over(
    cluster: Cluster, store: StoreAtWork
) -> None:
    leader = cluster.the_leader()
    candidate = cluster.others(leader)[0]
    pause(cluster, store, leader, primary_stop_timeout=3)
    began = leader.status()["postmaster_start_time"]
    receivers = [pid for pid, title in candidate.server_titles().items() if "walreceiver" in title]
    for pid in receivers:
        os.kill(pid, signal.SIGSTOP)  # it does not receive what the primary has to send before it may end
    try:
        assert cluster.switchover(candidate=candidate.name).status == 503
        cluster.wait_for(lambda: leader.status().get("postmaster_start_time") not in (None, began), "it runs again")
    finally:
        for pid in receivers:
            os.kill(pid, signal.SIGCONT)
    assert leader.query("SELECT pg_is_in_recovery()") == [(False,)]
    assert cluster.the_leader() is leader
    assert cluster.configure(pause=None, primary_stop_timeout=None).status == 200
    assert cluster.wait_ready() is leader


@on_all_stores
def test_a_standby_that_is_reinitialized_in_a_pause_runs_again(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    standby = cluster.others(leader)[0]
    pause(cluster, store, leader)
    (standby.data_dir / "left-behind").touch()
    assert standby.rest("/reinitialize", method="POST", body={}).status == 200
    cluster.wait_for(lambda: not (standby.data_dir / "left-behind").exists(), "the directory is emptied")
    assert cluster.wait_ready() is leader
    assert cluster.configure(pause=None).status == 200
    assert cluster.wait_ready() is leader


@on_all_stores
def test_a_standby_is_reinitialized(cluster: Cluster, store: StoreAtWork) -> None:
    leader = cluster.the_leader()
    standby = cluster.others(leader)[0]
    inode = standby.data_dir.stat().st_ino
    (standby.data_dir / "left-behind").touch()

    def answered() -> Reply | None:
        reply = standby.rest("/reinitialize", method="POST", body={})
        return None if reply.text == "start already in progress" else reply  # it streams before the work of its start is over

    reply = cluster.wait_for(answered, "the standby has started")
    assert (reply.status, reply.text) == (200, "reinitialize started")
    cluster.wait_for(lambda: not (standby.data_dir / "left-behind").exists(), "the directory is emptied")
    assert cluster.wait_ready() is leader
    assert inode  # the directory itself may be kept or made anew
    assert standby.query("SELECT pg_is_in_recovery()") == [(True,)]
    assert leader.rest("/reinitialize", method="POST", body={}).status == 503
