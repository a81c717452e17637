"""Which rule answers where nobody holds the lock, where the store is away, and where there is no data."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hacore.decide import decide
from hacore.model.cluster import ClusterView
from hacore.model.commands import ReinitializeCommand, ReloadCommand, RestartCommand, ShutdownCommand
from hacore.model.jobs import JobKind
from hacore.model.lease import Lock
from hacore.model.lsn import Lsn
from hacore.model.memory import Memory, Sightings
from hacore.model.node import DirectoryState, FenceState, NodeState, PeerState, Role, ServerState, Upstream
from hacore.model.policy import Policy, Tags
from hacore.model.steps import (
    AcquireLease,
    AnswerCommand,
    Arm,
    ArmAdopted,
    Bootstrap,
    CancelJob,
    CreateReplica,
    Disarm,
    EndServer,
    Exit,
    PutRecord,
    ReleaseLease,
    Reload,
    RememberDemotion,
    RestartServer,
    Rewind,
    StartServer,
    StopServer,
)
from hacore.model.world import World

from . import worlds as w

SHUTDOWN = ShutdownCommand(id="end", received_at=w.NOW)
BEHIND = w.standby(received_lsn=Lsn(1000), replayed_lsn=Lsn(1000))
NEW = w.cluster(None, initialize=None, initialize_version=None, members=(), own=None, own_version=None, config=None, history=None)
BEGUN = Sightings(started_at=w.NOW - 20, store_lost_since=w.NOW - 19)  # an agent that has not seen the store yet
STOPPED_STANDBY = w.stopped(directory=w.directory(control=w.control("shut down in recovery"), has_standby_signal=True))
BOOTSTRAPPING = w.cluster("a", initialize="", own=w.own(holder="a", bootstrapping=True, claims=()))


def restart(**fields: object) -> RestartCommand:
    return RestartCommand(**{"id": "r", "received_at": w.NOW, **fields})  # type: ignore[arg-type]


REINITIALIZE = ReinitializeCommand(id="i", received_at=w.NOW)
CREATES = w.job(JobKind.CREATE_REPLICA, command="i")


def reinitializing(node: NodeState, **fields: Any) -> World:
    """A node that was asked to, and what became of it."""
    return w.world(node=node, commands=(REINITIALIZE,), **fields)


WHOLE = Lsn(w.POSITION + 120)  # the end of the shutdown checkpoint


def ending(*peers: PeerState, **fields: Any) -> World:
    """A leader that ends: its control file says shut down, PostgreSQL still sends the rest."""
    values: dict[str, Any] = {"node": w.stopped(server=ServerState.STOPPING), "job": w.job(JobKind.STOP), "peers_asked": True}
    return w.leading(peers=peers, commands=(SHUTDOWN,), **{**values, **fields})


GONE = PeerState(name="b", reachable=False)


def silent(name: str, **fields: Any) -> World:
    """The same where a member does not answer, of which its record says so much."""
    members = (w.member("a", role="primary"), w.member(name, **fields))
    return ending(replace(GONE, name=name), cluster=w.cluster("a", members=members))


CASES: list[tuple[str, World, tuple[type, ...]]] = [
    # urgent
    ("orphaned_server", w.leading(node=w.primary(server=ServerState.ORPHANED, role=None)), (EndServer,)),
    ("lease_lost_while_taking_over", w.leaderless(job=w.job(JobKind.PROMOTE, enables_writes=True)), (CancelJob, EndServer)),
    # ending
    ("leave_in_pause", w.paused(w.leading(node=w.primary(fence=FenceState(coverage="none")), commands=(SHUTDOWN,))), (Exit,)),
    ("hand_over_at_end", w.leading(node=w.stopped(), commands=(SHUTDOWN,)), (ReleaseLease,)),
    ("hand_over_at_end", ending(w.peer("b"), w.peer("c", lsn=WHOLE)), (ReleaseLease,)),
    ("hand_over_at_end", ending(w.peer("b", streams=False), w.peer("c", nofailover=True)), (ReleaseLease,)),
    ("hand_over_at_end", ending(w.peer("b"), node=w.stopped()), (ReleaseLease,)),
    ("waiting_for_candidate_at_end", ending(w.peer("b"), w.peer("c", lsn=WHOLE, nofailover=True)), ()),
    ("waiting_for_candidate_at_end", ending(peers_asked=False), ()),
    ("waiting_for_candidate_at_end", silent("b", replication_state="streaming"), ()),
    ("hand_over_at_end", silent("b", replication_state="streaming", tags=Tags(nofailover=True)), (ReleaseLease,)),
    ("hand_over_at_end", silent("b", replication_state="in archive recovery"), (ReleaseLease,)),
    ("hand_over_at_end", silent("b", replication_state="streaming", state="stopped"), (ReleaseLease,)),
    ("hand_over_at_end", ending(GONE), (ReleaseLease,)),
    ("cancel_work_at_end", ending(w.peer("b"), job=w.job(JobKind.RESTART)), (CancelJob,)),
    ("cancel_work_at_end", w.world(job=w.job(JobKind.CREATE_REPLICA), commands=(SHUTDOWN,)), (CancelJob,)),
    ("stop_at_end", w.leading(commands=(SHUTDOWN,)), (StopServer,)),
    ("end", w.world(node=w.stopped(), commands=(SHUTDOWN,)), (AnswerCommand, Exit)),
    # unsure
    ("work_goes_on_without_store", w.world(cluster=None, job=w.job(JobKind.START)), ()),
    ("pause_without_store", w.paused(w.leading(cluster=None)), ()),
    ("pause_without_store", w.paused(w.leading(cluster=None, noted_unfenced=True)), (Disarm,)),
    ("pause_without_store", w.paused(w.leading(cluster=None, noted_unfenced=True, node=w.primary(fence=FenceState()))), ()),
    ("lease_about_to_expire", w.leading(cluster=None, lease=w.lease(sent_at=w.NOW - 24.5)), (StopServer,)),
    ("leading_without_store", w.leading(cluster=None), ()),
    ("adopted_primary_needs_a_deadline", w.world(cluster=None, node=w.primary(fence=FenceState())), (ArmAdopted,)),
    (
        "read_only_without_store",
        w.world(cluster=None, node=w.stopped(), sightings=w.sightings(store_lost_since=w.NOW - 20)),
        (StartServer,),
    ),
    ("read_only_without_store", w.world(cluster=None, node=STOPPED_STANDBY, sightings=BEGUN), (StartServer,)),
    ("waiting_for_store", w.world(cluster=None, node=w.stopped(), sightings=BEGUN), ()),
    ("waiting_for_store", w.world(cluster=None), ()),
    # identity
    ("foreign_system_id", w.world(cluster=w.cluster(initialize="7999999999999999999")), (Exit,)),
    # asked
    ("reload_requested", w.world(commands=(ReloadCommand(id="l", received_at=w.NOW),)), (Reload,)),
    ("restart_ended", w.world(commands=(restart(),), outcomes=(w.outcome(JobKind.RESTART, command="r"),)), (AnswerCommand,)),
    ("restart_dropped", w.world(commands=(restart(schedule=w.WALL - timedelta(seconds=60)),)), (AnswerCommand,)),
    ("restart_refused", w.world(commands=(restart(role="primary"),)), (AnswerCommand,)),
    ("restart_dropped", w.paused(w.world(commands=(restart(schedule=w.WALL),))), (AnswerCommand,)),
    ("restart_refused", w.paused(w.world(node=w.primary(), commands=(restart(),))), (AnswerCommand,)),
    ("restart_requested", w.world(commands=(restart(),)), (RestartServer,)),
    ("restart_requested", w.leading(commands=(restart(),)), (RestartServer,)),
    ("restart_requested", w.paused(w.leading(node=w.primary(fence=FenceState(token=1)), commands=(restart(),))), (Arm, RestartServer)),
    ("restart_requested", w.paused(w.world(commands=(restart(),))), (RestartServer,)),
    ("reinitialize_refused", w.leading(commands=(REINITIALIZE,)), (AnswerCommand,)),
    ("reinitialize_requested", w.world(commands=(REINITIALIZE,)), (StopServer,)),
    (
        "reinitialize_requested",
        w.world(node=w.stopped(), commands=(REINITIALIZE,)),
        (CreateReplica,),
    ),
    ("reinitialize_answered", reinitializing(w.stopped(), job=CREATES), ()),
    ("reinitialize_answered", reinitializing(w.bare(), job=CREATES), (AnswerCommand,)),
    (
        "reinitialize_answered",
        reinitializing(w.stopped(), outcomes=(w.outcome(JobKind.CREATE_REPLICA, command="i", error="no"),)),
        (AnswerCommand,),
    ),
    ("reinitialize_answered", reinitializing(w.stopped(), outcomes=(w.outcome(JobKind.CREATE_REPLICA, command="i"),)), (AnswerCommand,)),
    ("reinitialize_requested", reinitializing(w.stopped(), outcomes=(w.outcome(JobKind.CREATE_REPLICA, error="no"),)), (CreateReplica,)),
    # empty
    ("filling_directory", w.world(node=w.bare(), job=w.job(JobKind.CREATE_REPLICA)), ()),
    (
        "bootstrap_failed",
        w.leading(node=w.bare(), cluster=BOOTSTRAPPING, outcomes=(w.outcome(JobKind.BOOTSTRAP, error="initdb failed"),)),
        (PutRecord, ReleaseLease, Exit),
    ),
    ("bootstrap_under_lease", w.leading(node=w.bare(), cluster=BOOTSTRAPPING), (Bootstrap,)),
    ("leader_without_data", w.leading(node=w.bare()), (ReleaseLease,)),
    ("finish_rewind", w.world(node=w.stopped(directory=w.directory(DirectoryState.UNFINISHED, mark="rewind"))), (Rewind,)),
    ("waiting_for_ready_leader", w.world(node=w.bare(), cluster=w.cluster(members=())), ()),
    ("create_replica", w.world(node=w.bare()), (CreateReplica,)),
    ("abandoned_bootstrap", w.world(node=w.bare(), cluster=replace(BOOTSTRAPPING, lock=None)), (PutRecord,)),
    (
        "bootstrap_race",
        w.world(node=w.bare(), cluster=NEW, memory=Memory(), sightings=w.sightings(uninitialized_since=w.NOW - 31)),
        (AcquireLease,),
    ),
    (
        "create_without_leader",
        w.leaderless(node=w.bare(), me=replace(w.world().me, leaderless_methods=True)),
        (CreateReplica,),
    ),
    ("waiting_for_leader", w.leaderless(node=w.bare()), ()),
    # leaderless
    ("wait_for_heir", w.leaderless(sightings=w.sightings(demoting="c", demoting_since=w.NOW - 1), memory=w.memory(held_token=1)), ()),
    (
        "former_holder_returns",
        w.leaderless(node=w.primary(), cluster=w.cluster(None, own=w.own(holder="a")), memory=w.memory(held_token=1, held_instance="7")),
        (AcquireLease,),
    ),
    ("adopt_running_primary", w.leaderless(node=w.primary(fence=FenceState()), cluster=w.cluster(None, own=None)), (ArmAdopted,)),
    ("adopt_running_primary", w.leaderless(node=w.primary(), cluster=w.cluster(None, own=None)), (AcquireLease,)),
    ("superseded_primary", w.leaderless(node=w.primary()), (EndServer,)),
    ("start_before_election", w.leaderless(node=w.stopped()), (StartServer,)),
    ("server_is_busy", w.leaderless(node=w.standby(server=ServerState.STARTING, role=None)), ()),
    ("may_not_lead", w.leaderless(me=replace(w.world().me, tags=Tags(nofailover=True))), ()),
    ("candidate_is_another", w.leaderless(cluster=w.cluster(None, failover=w.request(leader="b", candidate="c"))), ()),
    ("wait_before_challenge", w.leaderless(sightings=w.sightings(own_version_since=w.NOW - 5)), ()),
    ("behind_the_record", w.leaderless(node=BEHIND), ()),
    ("peer_comes_first", w.leaderless(peers=(w.peer("c", lsn=Lsn(w.POSITION + 1)),)), ()),
    ("take_the_lock", w.leaderless(), (AcquireLease,)),
]


@pytest.mark.parametrize(("rule", "seen", "steps"), CASES, ids=[f"{number}-{rule}" for number, (rule, _, _) in enumerate(CASES)])
def test_the_rule_answers_with_its_steps(rule: str, seen: World, steps: tuple[type, ...]) -> None:
    decision = decide(seen)
    assert (decision.rule, tuple(type(step) for step in decision.steps)) == (rule, steps)


def test_a_server_that_serves_reads_without_the_store_streams_from_nobody_also_not_from_who_led_before() -> None:
    (step,) = decide(w.world(cluster=None, node=STOPPED_STANDBY, sightings=BEGUN)).steps
    assert isinstance(step, StartServer)
    assert step.upstream == Upstream(member=None)


def test_an_acquisition_compares_the_revision_that_was_seen_for_a_whole_ttl() -> None:
    (step,) = decide(w.leaderless()).steps
    assert isinstance(step, AcquireLease)
    assert (step.own_version, step.own.token, step.own.clean) == (5, 2, None)


def test_a_clean_mark_lets_the_next_one_follow_at_once() -> None:
    seen = w.leaderless(sightings=w.sightings(own_version_since=w.NOW), cluster=w.cluster(None, own=w.own(clean="7")))
    assert decide(seen).rule == "take_the_lock"


def test_a_clean_mark_of_another_lock_instance_does_not_count() -> None:
    seen = w.leaderless(sightings=w.sightings(own_version_since=w.NOW), cluster=w.cluster(None, own=w.own(clean="6")))
    assert decide(seen).rule == "wait_before_challenge"


def test_challengers_wait_for_the_larger_of_their_ttl_and_the_recorded_one() -> None:
    seen = w.leaderless(sightings=w.sightings(own_version_since=w.NOW - 40), cluster=w.cluster(None, own=w.own(ttl_s=60.0)))
    assert decide(seen).rule == "wait_before_challenge"


def test_a_holder_of_another_product_is_waited_for_since_its_lock_was_first_missed() -> None:
    seen = w.sightings(lock_instance="99", lock_holder="p", leaderless_since=w.NOW - 10)
    assert decide(w.leaderless(sightings=seen)).rule == "wait_before_challenge"


def test_a_name_proves_nothing_for_a_former_holder_whose_disk_has_another_token() -> None:
    seen = w.leaderless(node=w.primary(), cluster=w.cluster(None, own=w.own(holder="a", token=2)), memory=w.memory(token=2, held_token=1))
    assert decide(seen).rule == "superseded_primary"


@pytest.mark.parametrize(("waited_s", "rule"), [(1.0, "former_holder_returns"), (11.0, "start_before_election")])
def test_a_crashed_holder_waits_a_while_for_the_end_of_its_wal(waited_s: float, rule: str) -> None:
    node = w.stopped("in production", directory=w.directory(control=w.control("in production"), wal_end=None, wal_end_timeline=None))
    seen = w.leaderless(
        node=node,
        cluster=w.cluster(None, own=w.own(holder="a")),
        memory=w.memory(held_token=1, lsn=Lsn(w.POSITION + 1)),
        sightings=w.sightings(own_version_since=w.NOW - 40, leaderless_since=w.NOW - waited_s),
    )
    decision = decide(seen)
    assert (decision.rule, bool(decision.steps)) == (rule, waited_s > 10)


def test_a_stopped_former_primary_takes_its_lock_again_to_start_in_place() -> None:
    seen = w.leaderless(node=w.stopped("in production"), cluster=w.cluster(None, own=w.own(holder="a")), memory=w.memory(held_token=1))
    assert decide(seen).rule == "former_holder_returns"


def test_a_node_that_pause_left_unfenced_keeps_the_others_from_the_lock() -> None:
    assert decide(w.leaderless(cluster=w.cluster(None, own=w.own(unfenced="b")))).rule == "may_not_lead"


def test_in_a_pause_a_primary_that_another_product_left_here_takes_the_lock_over_from_it() -> None:
    recent = w.sightings(own_version_since=w.NOW - 1, lock_instance="9", lock_holder="a", leaderless_since=w.NOW - 1)
    gone = (PeerState(name="b", reachable=False), w.peer("c"))
    left = w.paused(w.leaderless(node=w.primary(fence=FenceState(coverage="partial")), sightings=recent, peers=gone))
    assert decide(left).rule == "primary_takes_lock_in_pause"
    assert decide(replace(left, sightings=replace(recent, lock_holder="b"))).rule == "nothing_in_pause"  # b may still be writing
    assert decide(replace(left, peers_asked=False)).rule == "nothing_in_pause"
    assert decide(replace(left, peers=(w.peer("b", role=Role.PRIMARY),))).rule == "nothing_in_pause"
    assert decide(replace(left, cluster=w.cluster(None, own=w.own(timeline=2)))).rule == "nothing_in_pause"  # it is an older primary
    assert decide(replace(left, cluster=w.cluster(None, own=w.own(unfenced="b")))).rule == "nothing_in_pause"


def test_a_node_that_would_have_to_ignore_a_setting_does_not_stand_for_election() -> None:
    policy = Policy(times=w.TIMES, refuses_election="synchronous_mode does not work yet")
    assert decide(w.leaderless(policy=policy)).rule == "may_not_lead"


def test_a_node_that_cannot_write_its_memory_neither_stands_for_election_nor_creates_a_cluster() -> None:
    assert decide(w.leaderless(memory_fault="no space")).rule == "may_not_lead"
    assert decide(w.leaderless(node=w.primary(), memory=w.memory(token=1, held_token=1))).rule == "former_holder_returns"
    held = w.leaderless(node=w.primary(), memory=w.memory(token=1, held_token=1), memory_fault="no space")
    assert decide(held).rule == "superseded_primary"
    foreign = w.leaderless(node=w.primary(), cluster=w.cluster(None, own=None, own_version=None), memory=Memory(), memory_fault="no space")
    assert (decide(foreign).rule, decide(foreign).steps) == ("adopt_running_primary", ())
    unarmed = replace(foreign, node=w.primary(fence=FenceState()))
    assert [type(step) for step in decide(unarmed).steps] == [ArmAdopted]
    fired = replace(foreign, node=w.primary(fence=FenceState(fired=True, token=1)))
    assert [type(step) for step in decide(fired).steps] == [EndServer]
    empty = w.world(node=w.bare(), cluster=NEW, memory=Memory(), sightings=w.sightings(uninitialized_since=w.NOW - 40))
    assert [type(step) for step in decide(empty).steps] == [AcquireLease]
    assert decide(replace(empty, memory_fault="no space")).rule == "waiting_for_leader"


def test_after_a_store_went_back_a_standby_leads_only_when_all_remembered_members_answer() -> None:
    seen = w.leaderless(memory=w.memory(token=5))
    assert decide(seen).rule == "behind_the_record"
    assert decide(seen).reason.endswith("waits for an answer of b, or for a failover to a")
    assert decide(replace(seen, peers=(w.peer("b"), w.peer("c")))).rule == "take_the_lock"


def test_after_a_store_went_back_a_person_may_name_the_next_leader_though_a_remembered_member_is_silent() -> None:
    named = w.cluster(None, failover=w.request(candidate="a"))
    seen = w.leaderless(memory=w.memory(token=5), cluster=named, peers=(w.peer("b"),))
    assert decide(seen).rule == "take_the_lock"
    assert decide(replace(seen, cluster=replace(named, own=None, broken=frozenset({"hacore"})))).rule == "take_the_lock"
    assert decide(replace(seen, cluster=replace(named, failover=None))).rule == "behind_the_record"


def test_in_an_emptied_store_a_standby_leads_only_when_all_remembered_members_answer() -> None:
    seen = w.leaderless(cluster=w.cluster(None, own=None, own_version=None), peers=(w.peer("b"),))
    assert decide(seen).rule == "behind_the_record"
    assert decide(replace(seen, peers=(w.peer("b"), w.peer("c")))).rule == "take_the_lock"


def test_in_an_emptied_store_a_former_holder_that_is_down_cannot_know_who_led_after_it() -> None:
    seen = w.leaderless(cluster=w.cluster(None, own=None, own_version=None), memory=w.memory(held_token=1))
    assert decide(replace(seen, node=w.stopped("in production"))).rule == "start_before_election"
    assert decide(replace(seen, node=w.primary())).rule == "former_holder_returns"


def test_an_agent_that_starts_in_an_emptied_store_waits_for_a_holder_that_it_has_not_seen() -> None:
    sightings = w.sightings(started_at=w.NOW - 3, leaderless_since=w.NOW - 3, lock_holder=None, lock_instance=None)
    seen = w.leaderless(cluster=w.cluster(None, own=None, own_version=None), memory=Memory(), sightings=sightings)
    assert decide(seen).rule == "wait_before_challenge"


@pytest.mark.parametrize(
    ("node", "rule"),
    [
        (w.standby(), "behind_the_record"),
        (STOPPED_STANDBY, "start_before_election"),
        (w.stopped("shut down in recovery"), "start_before_election"),
    ],
)
def test_a_standby_of_a_cluster_that_nobody_knows_waits_for_a_person(node: NodeState, rule: str) -> None:
    seen = w.leaderless(cluster=NEW, memory=Memory(), node=node)
    answer = decide(seen)
    assert (answer.rule, answer.steps) == (rule, ())
    assert "are store, namespace and scope those of its primary?" in answer.reason
    named = replace(seen, cluster=replace(NEW, failover=w.request(candidate="a")))
    assert decide(named).steps != ()
    assert decide(replace(seen, cluster=replace(NEW, initialize=w.SYSTEM_ID, initialize_version=1))).steps != ()


def test_a_primary_that_is_down_begins_a_cluster_where_nobody_knows_one() -> None:
    seen = w.leaderless(cluster=NEW, memory=Memory(), node=w.stopped("in production"))
    assert decide(seen).rule == "start_before_election"
    assert [type(step) for step in decide(seen).steps] == [StartServer]
    started = w.standby(upstream=Upstream(member=None, host=""), upstream_reachable=False)
    assert decide(replace(seen, node=started)).rule == "take_the_lock"


def test_a_peer_that_is_primary_still_comes_first() -> None:
    assert decide(w.leaderless(peers=(PeerState(name="b", reachable=True, role=Role.PRIMARY),))).rule == "peer_comes_first"


def test_a_higher_failover_priority_wins_between_equal_positions() -> None:
    assert decide(w.leaderless(peers=(w.peer("c", failover_priority=2),))).rule == "peer_comes_first"
    assert decide(w.leaderless(peers=(w.peer("b", failover_priority=2),))).rule == "take_the_lock"  # the former leader is not preferred


def test_a_standby_on_an_older_timeline_than_the_recorded_one_is_not_promoted() -> None:
    assert decide(w.leaderless(cluster=w.cluster(None, own=w.own(timeline=2, claims=((2, 1),))))).rule == "behind_the_record"


@pytest.mark.parametrize("why", [{"nofailover": True}, {"refuses_election": True}])
def test_a_peer_that_may_not_lead_is_nobody_to_wait_for(why: dict[str, bool]) -> None:
    ahead = w.leaderless(peers=(w.peer("c", lsn=Lsn(w.POSITION + 1), **why),))
    assert decide(ahead).rule == "take_the_lock"
    for wish in (w.request(candidate="c"), w.request(leader="b", candidate="c")):
        assert decide(replace(ahead, cluster=w.cluster(None, failover=wish))).rule == "take_the_lock"


def test_an_empty_store_is_initialized_only_after_a_whole_ttl() -> None:
    seen = w.world(node=w.bare(), cluster=NEW, memory=Memory(), sightings=w.sightings(uninitialized_since=w.NOW - 10))
    decision = decide(seen)
    assert (decision.rule, decision.steps) == ("bootstrap_race", ())
    assert decision.wake_after_s == pytest.approx(20)


def test_a_node_that_remembers_a_cluster_creates_no_other_one_while_a_member_of_it_is_silent() -> None:
    sightings = w.sightings(uninitialized_since=w.NOW - 100)
    silent = w.world(node=w.bare(), cluster=NEW, sightings=sightings, peers=(w.peer("b", system_id=None),))
    assert decide(silent).steps == ()
    assert "an answer of c; where that has gone for good, stop hacore here, remove its state directory" in decide(silent).reason
    with_data = replace(silent, peers=(w.peer("b", system_id=None), w.peer("c", system_id=w.SYSTEM_ID)))
    assert decide(with_data).steps == ()
    assert decide(with_data).reason.endswith("waits for c, which has data")
    nowhere = replace(silent, peers=(w.peer("b", system_id=None), w.peer("c", system_id=None)))
    assert isinstance(decide(nowhere).steps[0], AcquireLease)


def test_a_bootstrap_that_a_member_reports_is_not_taken_away() -> None:
    busy = replace(BOOTSTRAPPING, lock=None, members=(w.member("c", state="initializing new cluster"),))
    assert decide(w.world(node=w.bare(), cluster=busy)).steps == ()


def test_a_lock_that_expired_stays_a_lock_to_somebody_else_until_the_store_says_so() -> None:
    seen = w.world(cluster=w.cluster(lock=Lock(holder="c", instance="8")))
    assert decide(seen).rule == "follow_upstream"


def test_a_holder_of_another_product_that_says_it_has_ended_is_not_waited_for() -> None:
    gone = w.member("p", state="stopped", role="demoted", hacore_version=None)
    view = w.cluster(None, own=None, members=(*w.cluster(None).members, gone))
    seen = w.sightings(lock_instance="99", lock_holder="p", leaderless_since=w.NOW - 1)
    stopped = PeerState(name="p", reachable=True, state="stopped")
    assert decide(w.leaderless(cluster=view, sightings=seen, peers=(w.peer("b"), w.peer("c"), stopped))).rule == "take_the_lock"
    assert decide(w.leaderless(cluster=view, sightings=seen)).rule == "wait_before_challenge"


def test_a_member_gives_its_leader_time_to_mend_a_record_of_another_system_identifier() -> None:
    wrong = w.world(cluster=w.cluster(initialize="7999999999999999999"))
    recent = w.sightings(initialize_claim_since=w.NOW - 1)
    assert decide(replace(wrong, sightings=recent)).steps == ()
    assert [type(step) for step in decide(replace(wrong, sightings=w.sightings(initialize_claim_since=w.NOW - 31))).steps] == [Exit]
    stranger = replace(wrong, sightings=recent, memory=w.memory(system_id="7999999999999999999"))
    assert [type(step) for step in decide(stranger).steps] == [Exit]


def test_a_lock_whose_holder_has_stood_still_is_replaced() -> None:
    seen = w.leaderless(cluster=w.cluster(), sightings=w.sightings(lock_stale_at=w.NOW - 1, leaderless_since=None))
    decision = decide(seen)
    assert decision.rule == "take_the_lock"
    assert [step.replaces for step in decision.steps if isinstance(step, AcquireLease)] == [Lock(holder="b", instance="7")]
    assert decide(replace(seen, sightings=w.sightings(lock_stale_at=w.NOW + 1))).table == "tending"
    alive = replace(seen, peers=(PeerState(name="b", reachable=True, role=Role.PRIMARY), w.peer("c")))
    assert decide(alive).rule == "peer_comes_first"


def test_a_holder_whose_rest_server_cannot_tell_its_role_is_waited_for() -> None:
    view = w.cluster(None, own=None, members=(w.member("a"), w.member("b", role="demoted"), w.member("c")))
    seen = w.sightings(lock_holder="b", leaderless_since=w.NOW - 1)
    silent = w.leaderless(cluster=view, sightings=seen, peers=(w.peer("b", role=None, state="unreachable"), w.peer("c")))
    assert decide(silent).rule == "wait_before_challenge"


def test_a_former_holder_does_not_return_after_another_product_has_led() -> None:
    view = w.cluster(None, own=w.own(holder="a"), history=w.lines((1, w.POSITION)))
    seen = w.leaderless(node=w.stopped("in production"), cluster=view, memory=w.memory(held_token=1))
    assert decide(seen).rule == "start_before_election"


def test_a_challenger_that_missed_a_holding_counts_from_the_newest_heartbeat() -> None:
    view = w.cluster(None, own=w.own(instance="8", token=2))
    seen = w.sightings(leaderless_since=w.NOW - 500, own_version_since=w.NOW - 3)
    assert decide(w.leaderless(cluster=view, sightings=seen, memory=w.memory(token=2))).rule == "wait_before_challenge"


@pytest.mark.parametrize("view", [None, w.cluster("a"), w.cluster(None, own=None)], ids=["no store", "own name", "no record"])
def test_a_primary_without_a_lease_whose_deadline_has_passed_ends(view: ClusterView | None) -> None:
    base = w.leaderless if view is not None and view.lock is None else w.world
    seen = base(cluster=view, node=w.primary(fence=FenceState()), memory=w.memory(held_token=None, adopted_deadline=w.NOW + 1))
    assert [type(step) for step in decide(seen).steps] == [EndServer]
    early = replace(seen, memory=replace(seen.memory, adopted_deadline=w.NOW + 10))
    assert [type(step) for step in decide(early).steps] == [ArmAdopted]


@pytest.mark.parametrize("view", [None, w.cluster("a"), w.cluster(None, own=None)], ids=["no store", "own name", "no record"])
def test_what_somebody_made_primary_under_a_fired_fence_ends(view: ClusterView | None) -> None:
    base = w.leaderless if view is not None and view.lock is None else w.world
    seen = base(cluster=view, node=w.primary(fence=FenceState(fired=True, token=1)), memory=w.memory(held_token=None))
    assert [type(step) for step in decide(seen).steps] == [EndServer]


def test_the_heir_has_its_time_from_when_the_lock_is_free() -> None:
    asked_long_ago = w.sightings(demoting="c", demoting_since=w.NOW - 300, leaderless_since=w.NOW - 34)
    waiting = w.leaderless(sightings=asked_long_ago, memory=w.memory(held_token=1))
    assert decide(waiting).steps == ()
    late = replace(waiting, sightings=replace(asked_long_ago, leaderless_since=w.NOW - 36))
    assert [type(step) for step in decide(late).steps] == [RememberDemotion]


def test_a_primary_without_a_lease_is_left_alone_in_pause() -> None:
    fired = w.world(cluster=None, node=w.primary(fence=FenceState(fired=True, token=1)), memory=w.memory(paused=True))
    assert decide(fired).steps == ()


def test_a_restart_now_does_not_wait_for_one_that_is_scheduled() -> None:
    later = restart(id="later", schedule=w.WALL + timedelta(hours=1))
    decision = decide(w.world(commands=(later, restart(id="now"))))
    assert [step.command for step in decision.steps if isinstance(step, RestartServer)] == ["now"]
