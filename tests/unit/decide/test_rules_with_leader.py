"""Which rule answers while somebody holds the lock: this node, or another; and in maintenance."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hacore.decide import decide
from hacore.decide.own import acquisition
from hacore.model.cluster import HistoryLine, HoldMark
from hacore.model.jobs import JobKind, Outcome
from hacore.model.lease import Lock
from hacore.model.lsn import Lsn
from hacore.model.node import DirectoryState, FenceState, PeerState, Role, ServerState, SlotState, Upstream
from hacore.model.policy import Policy
from hacore.model.steps import (
    AcquireLease,
    Arm,
    ArmAdopted,
    CancelJob,
    CreateReplica,
    Disarm,
    DrainTraffic,
    EndServer,
    Follow,
    Promote,
    PutRecord,
    ReconcileSlots,
    RecoverFromCrash,
    ReleaseLease,
    ReloadServer,
    RememberDemotion,
    RestartServer,
    ResumeLease,
    Rewind,
    StartServer,
    StopServer,
    TakeCheckpoint,
    WriteHistory,
    WriteOwn,
)
from hacore.model.timeline import TimelineHistory, TimelineSwitch
from hacore.model.world import World

from . import worlds as w

ARMED = FenceState(armed=True, token=1)
PEERS = {"peers": (w.peer("b"), w.peer("c")), "peers_asked": True}
DEMOTING = w.sightings(demoting="c", demoting_since=w.NOW - 1, healthy_since=w.NOW - 50)
WISH = w.request(leader="a", candidate="c")
DOWN_LONG = w.sightings(down_since=w.NOW - 400)
SHUT_DOWN = w.stopped(fence=ARMED)
DIVERGED = w.stopped(directory=w.directory(control=w.control("shut down"), wal_end=Lsn(w.POSITION + 99), wal_end_timeline=1))
ON_TIMELINE_2 = w.cluster(own=w.own(timeline=2, claims=((1, 1), (2, 1))), history=w.lines((1, w.POSITION)))
CRASHED = w.stopped("in production", directory=w.directory(control=w.control("in production")))
ELSEWHERE = Upstream(member="c", host="10.0.0.3", port=5432, slot="a")
STARTING = w.standby(server=ServerState.STARTING, role=None, received_lsn=None, replayed_lsn=None, upstream=ELSEWHERE)
HELD = w.cluster("a", lock=Lock(holder="a", instance="7"))
STANDBY_LEADS = w.leading(node=w.standby(fence=ARMED), sightings=w.sightings(down_since=w.NOW - 1), **PEERS)
HISTORY_2 = TimelineHistory(timeline=2, switches=(TimelineSwitch(timeline=1, switchpoint=w.POSITION),))


def wishing(base: World, **fields: object) -> World:
    return replace(base, cluster=replace(base.cluster, failover=w.request(**fields)))  # type: ignore[type-var]


HOLD = HoldMark(switchover_id="1-10", token=1, limit_s=35.0)
CHECKED = w.outcome(JobKind.CHECKPOINT, ago_s=0.2)
DRAINED = w.outcome(JobKind.DRAIN, ago_s=0.1)


def draining(*outcomes: Outcome, hold: HoldMark | None = None, aborts: bool = False, **fields: Any) -> World:
    """A leader that hands over to c and has a router that can hold work back; the checkpoint is done."""
    base = w.leading(sightings=DEMOTING, outcomes=(CHECKED, *outcomes), cluster=w.cluster("a", own=w.own(holder="a", hold=hold)), **fields)
    base = replace(base, me=replace(base.me, drains=True), policy=replace(base.policy, drain_aborts=aborts))
    return wishing(base, leader="a", candidate="c")


CASES: list[tuple[str, World, tuple[type, ...]]] = [
    # handing over
    (
        "release_to_candidate",
        w.leading(node=SHUT_DOWN, sightings=DEMOTING, peers=(w.peer("c", lsn=Lsn(w.POSITION + 120)),), peers_asked=True),
        (ReleaseLease,),
    ),
    (
        "hand_over_is_stuck",
        w.leading(node=SHUT_DOWN, sightings=replace(DEMOTING, demoting_since=w.NOW - 60), **PEERS),
        (RememberDemotion,),
    ),
    ("waiting_for_candidate", w.leading(node=SHUT_DOWN, sightings=DEMOTING, **PEERS), ()),
    ("hand_over_in_flight", w.leading(sightings=DEMOTING, job=w.job(JobKind.CHECKPOINT)), ()),
    ("hand_over_withdrawn", w.leading(sightings=DEMOTING), (RememberDemotion,)),
    ("checkpoint_before_hand_over", wishing(w.leading(sightings=DEMOTING), leader="a", candidate="c"), (TakeCheckpoint,)),
    (
        "stop_for_hand_over",
        wishing(w.leading(sightings=DEMOTING, outcomes=(w.outcome(JobKind.CHECKPOINT, ago_s=0.1),)), leader="a", candidate="c"),
        (StopServer,),
    ),
    ("mark_hold", draining(), (WriteOwn,)),
    ("drain_before_stop", draining(hold=HOLD), (DrainTraffic,)),
    # leading
    ("guard_must_be_armed", w.leading(node=w.primary(fence=FenceState())), (Arm,)),
    ("timeline_of_another", w.leading(cluster=w.cluster("a", own=w.own(holder="a", claims=((1, 9),)))), (EndServer,)),
    ("claim_own_timeline", w.leading(cluster=w.cluster("a", own=w.own(holder="a", claims=()))), (WriteOwn,)),
    ("restore_records", w.leading(cluster=w.cluster("a", initialize=None, initialize_version=None)), (PutRecord,)),
    ("clear_marks", w.leading(cluster=w.cluster("a", own=w.own(holder="a", unfenced="a"))), (WriteOwn,)),
    ("clear_marks", w.leading(cluster=w.cluster("a", own=w.own(holder="a", hold=HOLD))), (WriteOwn,)),
    ("failover_request_is_over", wishing(w.leading(), leader="b", candidate="c"), (PutRecord,)),
    ("switchover_requested", wishing(w.leading(**PEERS), leader="a", candidate="c"), (RememberDemotion,)),
    ("work_beside_leading", w.leading(job=w.job(JobKind.CHECKPOINT)), ()),
    ("first_checkpoint", w.leading(sightings=w.sightings(checkpointed_timeline=None)), (TakeCheckpoint,)),
    (
        "write_history",
        w.leading(
            node=w.primary(timeline=2, history=HISTORY_2),
            sightings=w.sightings(checkpointed_timeline=2),
            cluster=w.cluster("a", own=w.own(holder="a", claims=((2, 1),))),
        ),
        (WriteHistory,),
    ),
    ("tend_slots_of_standbys", w.leading(node=w.primary(slots=())), (ReconcileSlots,)),
    ("keep_leading", w.leading(), ()),
    ("keep_leading", w.leading(node=w.primary(settings_wanted=True)), (ReloadServer,)),
    # promoting
    (
        "start_overdue",
        w.leading(node=SHUT_DOWN, job=w.job(JobKind.START, enables_writes=True), sightings=DOWN_LONG, **PEERS),
        (CancelJob, EndServer),
    ),
    ("taking_over_in_flight", replace(STANDBY_LEADS, job=w.job(JobKind.PROMOTE, enables_writes=True)), ()),
    ("guard_must_be_armed", replace(STANDBY_LEADS, node=w.standby()), (Arm,)),
    ("give_up_crashed_primary", w.leading(node=SHUT_DOWN, sightings=DOWN_LONG, **PEERS), (ReleaseLease,)),
    (
        "start_failed_recently",
        w.leading(node=SHUT_DOWN, outcomes=(w.outcome(JobKind.START, ago_s=0.2, error="port taken"),), **PEERS),
        (),
    ),
    ("start_in_place", w.leading(node=SHUT_DOWN, **PEERS), (StartServer,)),
    (
        "start_before_promotion",
        w.leading(node=w.stopped("shut down in recovery", fence=ARMED), **PEERS),
        (StartServer,),
    ),
    ("waiting_for_server", replace(STANDBY_LEADS, peers_asked=False), ()),
    ("yield_to_better_peer", replace(STANDBY_LEADS, peers=(w.peer("c", lsn=Lsn(w.POSITION + 1)),)), (ReleaseLease,)),
    ("promotion_failed", replace(STANDBY_LEADS, outcomes=(w.outcome(JobKind.PROMOTE, ago_s=0.5, error="refused"),)), (ReleaseLease,)),
    ("claim_timeline", STANDBY_LEADS, (WriteOwn,)),
    ("promote", replace(STANDBY_LEADS, cluster=w.cluster("a", own=w.own(holder="a", claims=((1, 1), (2, 1))))), (Promote,)),
    # following
    ("resume_lease", w.world(cluster=HELD, node=w.primary(), memory=w.memory(held_token=1, held_instance="7")), (ResumeLease,)),
    (
        "give_back_fenced_lock",
        w.world(cluster=HELD, node=w.stopped(fence=FenceState(fired=True, token=1)), memory=w.memory(held_token=1, held_instance="7")),
        (ReleaseLease,),
    ),
    ("lock_in_my_name", w.world(cluster=HELD, node=w.primary(fence=FenceState())), (ArmAdopted,)),
    ("superseded_by_leader", w.world(node=w.primary()), (EndServer,)),
    ("follow_while_starting", w.world(node=STARTING), (Follow,)),
    ("work_beside_following", w.world(node=replace(STARTING, upstream=w.standby().upstream)), ()),
    ("work_beside_following", w.world(node=replace(STARTING, upstream=None)), ()),
    ("work_beside_following", w.world(node=STARTING, job=w.job(JobKind.START)), ()),
    ("work_beside_following", w.world(job=w.job(JobKind.START)), ()),
    ("recover_before_rewind", w.world(cluster=ON_TIMELINE_2, node=CRASHED), (RecoverFromCrash,)),
    (
        "wait_for_rewind_source",
        w.world(cluster=replace(ON_TIMELINE_2, members=(w.member("b", role="primary", checkpoint_after_promote=False),)), node=DIVERGED),
        (),
    ),
    ("repair_diverged", w.world(cluster=ON_TIMELINE_2, node=DIVERGED), (Rewind,)),
    ("start_standby", w.world(node=w.stopped()), (StartServer,)),
    (
        "stop_diverged_standby",
        w.world(cluster=ON_TIMELINE_2, node=w.standby(received_lsn=Lsn(w.POSITION + 99))),
        (StopServer,),
    ),
    ("follow_upstream", w.world(node=w.standby(upstream=ELSEWHERE)), (Follow,)),
    ("restart_blocked_replay", w.world(node=w.standby(replay_blocked=True)), (RestartServer,)),
    ("keep_following", w.world(), ()),
    ("keep_following", w.world(node=w.standby(settings_wanted=True)), (ReloadServer,)),
    # paused
    ("work_in_pause", w.paused(w.leading(job=w.job(JobKind.RESTART))), ()),
    ("note_unfenced", w.paused(w.leading()), (WriteOwn,)),
    ("disarm_in_pause", w.paused(w.leading(cluster=w.cluster("a", own=w.own(holder="a", unfenced="a")))), (Disarm,)),
    (
        "request_in_pause",
        w.paused(
            wishing(
                w.leading(node=w.primary(fence=FenceState()), cluster=w.cluster("a", own=w.own(holder="a", unfenced="a")), **PEERS),
                leader="a",
                candidate="c",
            )
        ),
        (RememberDemotion,),
    ),
    (
        "resume_in_pause",
        w.paused(w.world(cluster=HELD, node=w.primary(), memory=w.memory(held_token=1, held_instance="7"))),
        (ResumeLease,),
    ),
    ("release_in_pause", w.paused(w.leading(node=SHUT_DOWN)), (ReleaseLease,)),
    (
        "primary_takes_lock_in_pause",
        w.paused(w.leaderless(node=w.primary(), cluster=w.cluster(None, own=w.own(unfenced="a")), peers=())),
        (AcquireLease,),
    ),
    (
        "named_candidate_in_pause",
        w.paused(w.leaderless(cluster=w.cluster(None, failover=w.request(candidate="a"), own=w.own(clean="7")), peers=())),
        (AcquireLease,),
    ),
    (
        "standby_in_pause",
        w.paused(w.world(node=w.standby(upstream=ELSEWHERE))),
        (Follow,),
    ),
    ("nothing_in_pause", w.paused(w.leaderless()), ()),
]


@pytest.mark.parametrize(("rule", "seen", "steps"), CASES, ids=[f"{number}-{rule}" for number, (rule, _, _) in enumerate(CASES)])
def test_the_rule_answers_with_its_steps(rule: str, seen: World, steps: tuple[type, ...]) -> None:
    decision = decide(seen)
    assert (decision.rule, tuple(type(step) for step in decision.steps)) == (rule, steps)


def test_a_promotion_skips_timelines_that_other_tokens_have_claimed() -> None:
    claims = ((1, 1), (2, 3), (3, 1))
    seen = replace(STANDBY_LEADS, cluster=w.cluster("a", own=w.own(holder="a", claims=claims)))
    (step,) = decide(seen).steps
    assert step == Promote(timeline=3)


def test_a_standby_does_not_promote_while_another_member_holds_the_lock() -> None:
    assert decide(w.world()).rule == "keep_following"


def test_with_a_start_timeout_of_0_a_crashed_primary_gives_way_at_once() -> None:
    policy = Policy(times=w.TIMES, primary_start_timeout_s=0)
    assert decide(w.leading(node=SHUT_DOWN, policy=policy, **PEERS)).rule == "give_up_crashed_primary"


@pytest.mark.parametrize(("timeout_s", "used_s"), [(0.0, 0.0), (300.0, 300.0)])
def test_a_primary_that_merely_does_not_answer_has_the_retry_timeout_at_least(timeout_s: float, used_s: float) -> None:
    policy, mute = Policy(times=w.TIMES, primary_start_timeout_s=timeout_s), w.primary(server=ServerState.UNREACHABLE, role=None)
    for down_s, rule in ((0.0, "waiting_for_server"), (9.0, "waiting_for_server"), (10.0, "give_up_crashed_primary")):
        seen = w.sightings(down_since=w.NOW - down_s, down_s=used_s)
        assert decide(w.leading(node=mute, policy=policy, sightings=seen, **PEERS)).rule == rule


def test_a_crashed_primary_without_a_successor_starts_in_place_whatever_the_timeout() -> None:
    policy = Policy(times=w.TIMES, primary_start_timeout_s=0)
    seen = w.leading(node=SHUT_DOWN, policy=policy, peers=(PeerState(name="b", reachable=False),), peers_asked=True)
    assert decide(seen).rule == "start_in_place"


def test_work_is_held_back_under_a_mark_that_outlasts_the_drain_by_one_lease() -> None:
    (step,) = decide(draining()).steps
    assert isinstance(step, WriteOwn)
    assert step.own.hold == HoldMark(switchover_id="1-10", token=1, limit_s=35.0)
    (step,) = decide(draining(hold=HOLD)).steps
    assert step == DrainTraffic(switchover_id="1-10", candidate="c", timeout_s=5.0)


def test_the_mark_of_an_older_leader_is_not_this_switchover_s() -> None:
    assert decide(draining(hold=replace(HOLD, token=0))).rule == "mark_hold"


def test_the_primary_is_stopped_once_work_is_held_back_or_was_not_in_time() -> None:
    late = replace(DRAINED, error="late", failures=1)
    assert decide(draining(DRAINED, hold=HOLD)).rule == "stop_for_hand_over"
    assert decide(draining(late, hold=HOLD)).rule == "stop_for_hand_over"


def test_by_the_policy_abort_a_switchover_whose_routers_hold_nothing_back_is_given_up_without_a_mark() -> None:
    decision = decide(draining(replace(DRAINED, error="late", failures=1), hold=HOLD, aborts=True))
    assert decision.rule == "hand_over_refused"
    assert [type(step) for step in decision.steps] == [RememberDemotion, PutRecord, WriteOwn]
    assert [step.own.hold for step in decision.steps if isinstance(step, WriteOwn)] == [None]
    assert decide(draining(DRAINED, hold=HOLD, aborts=True)).rule == "stop_for_hand_over"


def test_a_drain_of_an_earlier_switchover_counts_for_nothing() -> None:
    assert decide(draining(w.outcome(JobKind.DRAIN, ago_s=5.0), hold=HOLD)).rule == "drain_before_stop"


def test_without_a_router_that_can_hold_work_back_or_without_time_for_it_there_is_no_turn_for_it() -> None:
    without = draining()
    without = replace(without, me=replace(without.me, drains=False))
    no_time = draining()
    no_time = replace(no_time, policy=replace(no_time.policy, drain_timeout_s=0.0))
    assert [decide(world).rule for world in (without, no_time)] == ["stop_for_hand_over", "stop_for_hand_over"]


def test_a_primary_that_is_down_when_its_switchover_is_given_up_keeps_the_mark_until_it_is_back() -> None:
    own = w.own(holder="a", hold=HOLD)
    stuck = w.leading(node=SHUT_DOWN, sightings=replace(DEMOTING, demoting_since=w.NOW - 60), cluster=w.cluster("a", own=own), **PEERS)
    decision = decide(stuck)
    assert (decision.rule, [type(step) for step in decision.steps]) == ("hand_over_is_stuck", [RememberDemotion])
    assert decide(w.leading(cluster=w.cluster("a", own=own))).rule == "clear_marks"


def test_a_candidate_has_its_time_to_receive_from_the_end_of_the_stop() -> None:
    asked_long_ago = replace(DEMOTING, demoting_since=w.NOW - 60)
    stopped = (w.outcome(JobKind.CHECKPOINT, ago_s=30.0), w.outcome(JobKind.STOP, ago_s=19.0))
    seen = w.leading(node=SHUT_DOWN, sightings=asked_long_ago, outcomes=stopped, **PEERS)
    assert decide(seen).rule == "waiting_for_candidate"
    assert decide(replace(seen, outcomes=(w.outcome(JobKind.STOP, ago_s=21.0),))).rule == "hand_over_is_stuck"


def test_in_pause_the_mark_goes_with_the_note_that_nobody_is_fenced() -> None:
    own = w.own(holder="a", unfenced="a", hold=HOLD)
    (step,) = decide(w.paused(w.leading(cluster=w.cluster("a", own=own)))).steps
    assert isinstance(step, WriteOwn)
    assert (step.own.hold, step.own.unfenced) == (None, "a")


def test_who_takes_the_lock_keeps_the_mark_until_it_is_primary() -> None:
    own = w.own(hold=HOLD, instance="7", clean="7")
    world = w.leaderless(cluster=w.cluster(None, own=own))
    assert acquisition(world, w.cluster(None, own=own)).hold == HOLD


def test_a_hand_over_releases_while_the_archiver_still_works() -> None:
    node = replace(SHUT_DOWN, server=ServerState.STOPPING)
    seen = w.leading(
        node=node, sightings=DEMOTING, job=w.job(JobKind.STOP), peers=(w.peer("c", lsn=Lsn(w.POSITION + 120)),), peers_asked=True
    )
    assert decide(seen).rule == "release_to_candidate"


def test_in_a_hand_over_to_the_best_member_one_that_may_not_lead_does_not_count() -> None:
    barred = w.peer("c", lsn=Lsn(w.POSITION + 120), nofailover=True)
    seen = w.leading(node=SHUT_DOWN, sightings=replace(DEMOTING, demoting=""), peers=(w.peer("b"), barred), peers_asked=True)
    assert decide(seen).rule == "waiting_for_candidate"


def test_only_the_named_candidate_counts_in_a_hand_over() -> None:
    seen = w.leading(node=SHUT_DOWN, sightings=DEMOTING, peers=(w.peer("b", lsn=Lsn(w.POSITION + 120)),), peers_asked=True)
    assert decide(seen).rule == "waiting_for_candidate"


def test_a_switchover_to_a_member_that_lags_is_dropped() -> None:
    seen = wishing(w.leading(peers=(w.peer("c", lsn=Lsn(10)),), peers_asked=True), leader="a", candidate="c")
    assert decide(seen).rule == "failover_request_is_over"


def test_a_switchover_to_a_member_that_does_not_stream_is_dropped() -> None:
    seen = wishing(w.leading(peers=(w.peer("c", streams=False),), peers_asked=True), leader="a", candidate="c")
    assert decide(seen).rule == "failover_request_is_over"


def test_a_scheduled_switchover_waits_and_is_dropped_when_it_is_late() -> None:
    early = wishing(w.leading(**PEERS), leader="a", candidate="c", scheduled_at=w.WALL + timedelta(seconds=60))
    late = wishing(w.leading(**PEERS), leader="a", candidate="c", scheduled_at=w.WALL - timedelta(seconds=60))
    assert (decide(early).rule, decide(late).rule) == ("keep_leading", "failover_request_is_over")


def test_a_diverged_directory_is_parked_where_no_setting_allows_a_repair() -> None:
    decision = decide(w.world(cluster=ON_TIMELINE_2, node=DIVERGED, policy=Policy(times=w.TIMES)))
    assert (decision.rule, decision.steps) == ("repair_diverged", ())


CONFLICT = w.outcome(JobKind.REWIND, error="the archive has another file", needs_person=True)
WIPES = Policy(times=w.TIMES, use_pg_rewind=True, remove_data_directory_on_rewind_failure=True)


@pytest.mark.parametrize(("ago_s", "steps"), [(1.0, []), (60.0, [Rewind])])
def test_a_rewind_that_met_other_wal_in_the_archive_throws_nothing_away(ago_s: float, steps: list[type]) -> None:
    failed = replace(CONFLICT, ended_at=w.NOW - ago_s)
    decision = decide(w.world(cluster=ON_TIMELINE_2, node=DIVERGED, policy=WIPES, outcomes=(failed,)))
    assert (decision.rule, [type(step) for step in decision.steps]) == ("repair_diverged", steps)
    of_no_person = replace(failed, needs_person=False)
    (step,) = decide(w.world(cluster=ON_TIMELINE_2, node=DIVERGED, policy=WIPES, outcomes=(of_no_person,))).steps
    assert isinstance(step, CreateReplica)


@pytest.mark.parametrize(("ago_s", "steps"), [(1.0, []), (60.0, [Rewind])])
def test_neither_does_one_that_was_interrupted(ago_s: float, steps: list[type]) -> None:
    node = w.stopped(directory=w.directory(DirectoryState.UNFINISHED, mark="rewind"))
    decision = decide(w.world(node=node, policy=WIPES, outcomes=(replace(CONFLICT, ended_at=w.NOW - ago_s),)))
    assert (decision.rule, [type(step) for step in decision.steps]) == ("finish_rewind", steps)


def test_a_former_primary_whose_crash_recovery_met_other_wal_is_not_started() -> None:
    node = w.stopped(directory=w.directory(control=w.control("in production")))
    assert decide(w.world(cluster=ON_TIMELINE_2, node=node)).rule == "recover_before_rewind"
    failed = replace(CONFLICT, kind=JobKind.CRASH_RECOVERY)
    decision = decide(w.world(cluster=ON_TIMELINE_2, node=node, outcomes=(failed,)))
    assert (decision.rule, decision.steps) == ("recover_before_rewind", ())


def test_a_diverged_directory_is_created_again_where_the_setting_says_so() -> None:
    seen = w.world(cluster=ON_TIMELINE_2, node=DIVERGED, policy=Policy(times=w.TIMES, remove_data_directory_on_diverged_timelines=True))
    (step,) = decide(seen).steps
    assert isinstance(step, CreateReplica)
    assert step.command is None, "no person has given up what only this directory may have"
    assert "parked" in decide(replace(seen, outcomes=(replace(CONFLICT, kind=JobKind.CREATE_REPLICA),))).reason


def test_wal_that_ends_where_the_cluster_left_the_timeline_is_a_prefix() -> None:
    assert decide(w.world(cluster=ON_TIMELINE_2, node=w.stopped())).rule == "start_standby"


def test_an_inactive_slot_of_a_member_that_streams_elsewhere_is_moved_by_whole_segments() -> None:
    slots = (SlotState(name="b", is_physical=True, active=False), SlotState(name="c", is_physical=True, active=False, restart_lsn=Lsn(1)))
    (step,) = decide(w.world(node=w.standby(slots=slots))).steps
    assert step == ReconcileSlots(advance=(("c", w.POSITION),))


def test_a_slot_that_belongs_to_nobody_of_this_cluster_is_left_alone() -> None:
    slots = (*w.primary().slots, SlotState(name="debezium", is_physical=True, active=False))
    assert decide(w.leading(node=w.primary(slots=slots))).rule == "keep_leading"


def test_a_slot_of_a_member_that_is_gone_for_longer_than_its_ttl_is_dropped() -> None:
    members = tuple(member for member in w.cluster("a").members if member.name != "c")
    slots = (SlotState(name="b", is_physical=True, active=True), SlotState(name="c", is_physical=True, active=False))
    seen = w.leading(
        node=w.primary(slots=slots),
        cluster=w.cluster("a", members=members),
        sightings=w.sightings(healthy_since=w.NOW - 50, members_seen=(("c", w.NOW - 2000),)),
    )
    (step,) = decide(seen).steps
    assert step == ReconcileSlots(droppable=("c",))


def test_a_slot_of_a_member_that_was_away_when_the_agent_was_started_is_kept_for_its_ttl() -> None:
    members = tuple(member for member in w.cluster("a").members if member.name != "c")
    slots = (SlotState(name="b", is_physical=True, active=True), SlotState(name="c", is_physical=True, active=False))
    recent = w.sightings(healthy_since=w.NOW - 5, members_seen=(), started_at=w.NOW - 1799)
    seen = w.leading(node=w.primary(slots=slots), cluster=w.cluster("a", members=members), sightings=recent)
    assert not any(isinstance(step, ReconcileSlots) for step in decide(seen).steps)
    late = replace(seen, sightings=replace(recent, started_at=w.NOW - 1801))
    assert decide(late).steps == (ReconcileSlots(droppable=("c",)),)


def test_a_directory_without_its_control_file_is_created_again_while_a_leader_exists() -> None:
    (step,) = decide(w.world(node=w.stopped(directory=w.directory(DirectoryState.BROKEN)))).steps
    assert isinstance(step, CreateReplica)


def test_history_lines_that_are_known_keep_their_time() -> None:
    line = HistoryLine(timeline=1, lsn=w.POSITION, reason="x", timestamp="2026-01-01T00:00:00+00:00", new_leader="b")
    history = TimelineHistory(timeline=3, switches=(*HISTORY_2.switches, TimelineSwitch(timeline=2, switchpoint=Lsn(w.POSITION + 5))))
    seen = w.leading(
        node=w.primary(timeline=3, history=history),
        sightings=w.sightings(checkpointed_timeline=3),
        cluster=w.cluster("a", history=(line,), own=w.own(holder="a", claims=((3, 1),))),
    )
    (step,) = decide(seen).steps
    assert isinstance(step, WriteHistory)
    assert step.lines[0] == line


def test_a_leader_whose_role_is_not_known_is_no_primary() -> None:
    seen = w.leading(node=w.primary(server=ServerState.UNREACHABLE, role=None), **PEERS)
    assert decide(seen).rule == "waiting_for_server"
    assert decide(replace(seen, node=w.primary(role=Role.PRIMARY))).rule == "keep_leading"


def test_a_standby_that_streams_is_not_diverged_whatever_the_records_say_yet() -> None:
    node = w.standby(timeline=3, upstream_reachable=True)
    assert decide(w.world(cluster=ON_TIMELINE_2, node=node)).rule == "keep_following"


def test_a_lock_taken_by_a_request_whose_answer_was_lost_is_resumed() -> None:
    view = w.cluster("a", own=w.own(holder="a", token=4, instance=None))
    assert decide(w.world(cluster=view, attempted_token=4)).rule == "resume_lease"
    assert decide(w.world(cluster=view)).rule == "lock_in_my_name"


def test_a_lock_that_a_restored_store_brought_back_is_given_back_without_a_mark_by_whom_others_have_followed() -> None:
    memory = w.memory(token=5, held_token=1, held_instance="7")
    decision = decide(w.world(cluster=HELD, memory=memory))
    assert decision.rule == "give_back_fenced_lock"
    assert [step.clean for step in decision.steps if isinstance(step, ReleaseLease)] == [False]
    assert decide(w.paused(w.world(cluster=HELD, memory=memory))).rule == "nothing_in_pause"
    elsewhere = w.memory(store_id="another", held_token=1, held_instance="7")
    assert decide(w.world(cluster=HELD, memory=elsewhere)).rule == "give_back_fenced_lock"


def test_a_switchover_that_a_gate_vetoes_is_given_up() -> None:
    vetoed = (w.outcome(JobKind.CHECKPOINT, ago_s=0.5, error="switchover refused: backup: runs"),)
    seen = wishing(w.leading(sightings=DEMOTING, outcomes=vetoed), leader="a", candidate="c")
    decision = decide(seen)
    assert (decision.rule, [type(step) for step in decision.steps]) == ("hand_over_refused", [RememberDemotion, PutRecord])


def test_a_server_that_is_just_starting_is_no_orphan() -> None:
    node = w.primary(server=ServerState.ORPHANED, role=None, fence=ARMED)
    seen = w.leading(node=node, job=w.job(JobKind.START, enables_writes=True))
    assert decide(seen).rule == "taking_over_in_flight"


def test_a_fenced_holder_does_not_resume_its_lease_but_gives_it_back_also_where_it_serves_reads_already() -> None:
    seen = w.world(cluster=HELD, node=w.standby(fence=FenceState(fired=True, token=1)), memory=w.memory(held_token=1, held_instance="7"))
    assert decide(seen).rule == "give_back_fenced_lock"
    assert decide(replace(seen, job=w.job(JobKind.START))).rule == "lock_in_my_name"
