from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hacore.decide.decision import decide
from hacore.decide.lineage import recorded_history
from hacore.model.backups import BackupRecord
from hacore.model.cluster import Restore, RestoreState
from hacore.model.commands import CancelRestoreCommand, RestoreCommand
from hacore.model.jobs import JobKind
from hacore.model.lease import Lock
from hacore.model.lsn import Lsn
from hacore.model.node import FenceState
from hacore.model.recovery import RecoveryTarget
from hacore.model.steps import (
    AcquireLease,
    AnswerCommand,
    CancelJob,
    CreateReplica,
    EndServer,
    ReleaseLease,
    RestoreFromBackup,
    Rewind,
    StopServer,
    UndoRestore,
    WriteOwn,
)
from hacore.model.timeline import TimelineHistory, TimelineSwitch
from hacore.model.world import Decision, World
from hacore.publish.routing import is_primary_under_its_lock
from tests.unit.decide.worlds import (
    NOW,
    WALL,
    bare,
    cluster,
    directory,
    job,
    leaderless,
    leading,
    lines,
    member,
    memory,
    outcome,
    own,
    paused,
    primary,
    sightings,
    standby,
    stopped,
    world,
)
from tests.unit.records.test_backups import TASK

STARTED_AT = 0.0
ATTEMPT = f"r1 {STARTED_AT:.6f}"
FENCE = FenceState(armed=True, token=1)


def restore(**fields: Any) -> Restore:
    values: dict[str, Any] = {
        "id": "r1",
        "member": "a",
        "state": RestoreState.STOPPING,
        "backup": "base_1",
        "target": RecoveryTarget(),
        "along": 1,
        "keep": True,
        "asked_at": WALL,
    }
    return Restore(**{**values, **fields})


def restoring(base: World, *, still: bool = True, **fields: Any) -> World:
    """The same while a restores; the other members stand still unless told otherwise."""
    view = base.cluster
    assert view is not None
    assert view.own is not None
    members = tuple(replace(one, state="stopped" if still and one.name != "a" else one.state) for one in view.members)
    return replace(base, cluster=replace(view, members=members, own=replace(view.own, restore=restore(**fields))))


def holder(**fields: Any) -> World:
    return leading(node=stopped(fence=FENCE), **fields)


def step_of(decision: Decision, kind: type) -> Any:
    return next(one for one in decision.steps if isinstance(one, kind))


def command() -> RestoreCommand:
    return RestoreCommand(id="r1", received_at=NOW, backup="base_1", target=RecoveryTarget(), along=1)


# --- the wish


def test_a_wish_is_noted_in_the_own_record_with_the_lock() -> None:
    decision = decide(leading(commands=(command(),)))
    assert decision.rule == "restore_requested"
    noted = step_of(decision, WriteOwn).own.restore
    assert (noted.state, noted.member, noted.backup) == (RestoreState.STOPPING, "a", "base_1")
    assert step_of(decision, AnswerCommand).done


@pytest.mark.parametrize(
    "base",
    [
        world(commands=(command(),)),
        paused(leading(commands=(command(),))),
        leading(commands=(command(),), job=job(JobKind.CHECKPOINT)),
        leading(commands=(command(),), cluster=cluster("a", members=(member("a"), member("b", hacore_version=None)))),
        leading(commands=(command(),), cluster=cluster("a", members=(member("a"), member("b", hacore_version="0.0.9")))),
        leading(commands=(command(),), cluster=replace(cluster("a"), backups=BackupRecord(task=TASK))),
        leading(commands=(CancelRestoreCommand(id="x", received_at=NOW),)),
    ],
    ids=["a standby", "in pause", "other work", "another product", "another version", "a backup", "nothing to end"],
)
def test_a_wish_that_cannot_be_granted_is_refused(base: World) -> None:
    decision = decide(base)
    assert decision.rule == "restore_refused"
    assert not step_of(decision, AnswerCommand).done


# --- members that do not restore


def test_a_standby_stops_and_then_stands_still() -> None:
    assert decide(restoring(world(), member="b")).rule == "stop_for_restore"
    down = restoring(world(node=stopped("shut down in recovery")), member="b")
    assert decide(down).rule == "standing_still"


def test_a_primary_without_a_lease_ends() -> None:
    decision = decide(restoring(world(node=primary()), member="b"))
    assert decision.rule == "primary_without_lease_while_restoring"
    assert step_of(decision, EndServer)


def test_nobody_else_takes_the_lock_when_the_one_that_restores_is_lost() -> None:
    decision = decide(restoring(leaderless(node=stopped("shut down in recovery")), member="b", state=RestoreState.RESTORING))
    assert decision.rule == "standing_still"
    assert not decision.steps


def test_whoever_holds_the_lock_of_it_by_mistake_gives_it_back() -> None:
    decision = decide(restoring(holder(), member="b", state=RestoreState.RESTORING))
    assert decision.rule == "standing_still"
    assert step_of(decision, ReleaseLease)


def test_other_work_is_ended() -> None:
    decision = decide(restoring(world(job=job(JobKind.START)), member="b"))
    assert decision.rule == "work_of_restoring"
    assert step_of(decision, CancelJob)
    assert decide(restoring(holder(job=job(JobKind.RESTORE)))).steps == ()


# --- the member that restores


def test_its_lock_is_resumed_and_taken_again_only_when_nobody_else_can_hold_it() -> None:
    mine = restoring(
        world(
            node=stopped(),
            cluster=replace(cluster("a"), lock=Lock(holder="a", instance="7")),
            memory=memory(held_token=1, held_instance="7"),
        )
    )
    assert decide(mine).rule == "resume_lease_to_restore"
    lost = restoring(leaderless(node=bare(), memory=memory(held_token=1)), state=RestoreState.RESTORING)
    decision = decide(lost)
    assert decision.rule == "restorer_returns"
    assert step_of(decision, AcquireLease).own.restore == (lost.cluster and lost.cluster.own and lost.cluster.own.restore)
    stranger = restoring(
        leaderless(node=bare(), memory=memory(held_token=None), sightings=sightings(own_version_since=NOW)), state=RestoreState.RESTORING
    )
    assert decide(stranger).rule == "restorer_returns"
    assert not decide(stranger).steps


def test_the_guard_is_armed_first() -> None:
    assert decide(restoring(leading(node=stopped()))).rule == "armed_while_restoring"


def test_it_waits_for_the_others_and_gives_up_when_they_do_not_stop() -> None:
    assert decide(restoring(leading(), still=False)).rule == "wait_for_members_to_stop"
    late = decide(restoring(leading(), still=False, asked_at=datetime(2026, 5, 4, 2, tzinfo=UTC)))
    assert late.rule == "wait_for_members_to_stop"
    assert step_of(late, WriteOwn).own.restore.state is RestoreState.FAILED


def test_then_it_stops_itself_claims_a_timeline_and_begins() -> None:
    decision = decide(restoring(leading()))
    assert decision.rule == "stop_before_restore"
    assert step_of(decision, StopServer)
    claimed = decide(restoring(holder()))
    assert claimed.rule == "begin_restore"
    record = step_of(claimed, WriteOwn).own
    assert (record.restore.timeline, record.claimed_by(2), record.restore.state) == (2, 1, RestoreState.RESTORING)
    begun = decide(restoring(holder(), state=RestoreState.RESTORING, attempt=ATTEMPT, timeline=2))
    assert begun.rule == "begin_restore"
    step = step_of(begun, RestoreFromBackup)
    assert (step.backup, step.timeline, step.along, step.command) == ("base_1", 2, 1, ATTEMPT)


def test_an_agent_that_was_started_again_claims_another_timeline() -> None:
    again = holder(cluster=cluster("a", own=own(holder="a", claims=((1, 1), (2, 1)))))
    decision = decide(restoring(again, state=RestoreState.RESTORING, attempt="r1 99.000000", timeline=2))
    assert step_of(decision, WriteOwn).own.restore.timeline == 3


def test_how_it_ended_is_told_to_everybody() -> None:
    failed = outcome(JobKind.RESTORE, error="the WAL ends before it", command=ATTEMPT)
    decision = decide(restoring(holder(outcomes=(failed,)), state=RestoreState.RESTORING, attempt=ATTEMPT, timeline=2))
    assert decision.rule == "restore_ended"
    told = step_of(decision, WriteOwn).own.restore
    assert (told.state, told.error) == (RestoreState.FAILED, "the WAL ends before it")
    done = leading(node=primary(timeline=2), outcomes=(outcome(JobKind.RESTORE, command=ATTEMPT),))
    decision = decide(restoring(done, state=RestoreState.RESTORING, attempt=ATTEMPT, timeline=2))
    record = step_of(decision, WriteOwn).own
    assert (record.restore.state, record.timeline, record.claimed_by(2)) == (RestoreState.DONE, 2, 1)


def test_a_restore_that_failed_leaves_no_claim_ahead_of_the_timeline_that_the_leader_goes_back_to() -> None:
    record = own(holder="a", token=5, claims=((1, 1), (2, 9), (3, 5), (7, 5), (8, 9)), timeline=3)
    failed = (outcome(JobKind.RESTORE, error="the WAL ends before it", command=ATTEMPT),)
    base = restoring(holder(cluster=cluster("a", own=record), outcomes=failed), state=RestoreState.RESTORING, attempt=ATTEMPT, timeline=7)
    told = step_of(decide(base), WriteOwn).own
    assert told.claims == ((1, 1), (2, 9), (3, 5), (7, 0), (8, 9))
    assert is_primary_under_its_lock(cluster("a", own=told))
    again = restoring(holder(cluster=cluster("a", own=told)), id="r2")
    assert step_of(decide(again), WriteOwn).own.restore.timeline == 9
    left = cluster("a", own=replace(told, claims=told.claims[:-1], restore=None))
    candidate = leading(cluster=left, node=standby(timeline=3, fence=FENCE), peers_asked=True)
    assert step_of(decide(candidate), WriteOwn).own.claimed_by(8) == 5  # 7 is skipped


def test_the_record_of_a_restore_says_which_timeline_is_left_and_that_of_its_end_which_one_begins() -> None:
    history = TimelineHistory(timeline=2, switches=(TimelineSwitch(timeline=1, switchpoint=Lsn(30_000_000)),))
    asked = decide(leading(node=primary(timeline=2, history=history), commands=(command(),)))
    noted = step_of(asked, WriteOwn).own  # promoted, not renewed yet
    assert (noted.timeline, noted.parent) == (2, (1, 30_000_000))
    before = own(holder="a", timeline=4, parent=(3, 90_000_000), claims=((4, 1), (5, 1)))
    after_it = TimelineHistory(timeline=5, switches=(*history.switches, TimelineSwitch(timeline=2, switchpoint=Lsn(40_000_000))))
    done = leading(
        cluster=cluster("a", own=before),
        node=primary(timeline=5, history=after_it),
        outcomes=(outcome(JobKind.RESTORE, command=ATTEMPT),),
    )
    told = step_of(decide(restoring(done, state=RestoreState.RESTORING, attempt=ATTEMPT, timeline=5)), WriteOwn).own
    assert (told.timeline, told.parent) == (5, (2, 40_000_000))
    old = cluster("a", own=told, history=lines((1, 30_000_000), (2, 70_000_000), (3, 90_000_000)))
    assert recorded_history(old) is None


def test_one_that_an_agent_before_this_one_has_finished_is_done() -> None:
    finished = restoring(leading(node=primary(timeline=2)), state=RestoreState.RESTORING, attempt="r1 99.000000", timeline=2)
    assert decide(finished).rule == "restore_ended"
    unfinished = primary(timeline=2, directory=directory(mark="restore"))
    assert decide(restoring(leading(node=unfinished), state=RestoreState.RESTORING, attempt="r1 99.000000", timeline=2)).rule == (
        "stop_before_restore"
    )


def test_a_person_ends_it() -> None:
    wish = (CancelRestoreCommand(id="x", received_at=NOW),)
    running = decide(restoring(holder(commands=wish, job=job(JobKind.RESTORE)), state=RestoreState.RESTORING))
    assert running.rule == "restore_cancelled"
    assert step_of(running, CancelJob)
    early = decide(restoring(leading(commands=wish), still=False))
    assert step_of(early, WriteOwn).own.restore.state is RestoreState.FAILED


def test_what_an_agent_before_this_one_has_moved_aside_is_put_back_before_anybody_is_told_that_it_has_ended() -> None:
    wish = (CancelRestoreCommand(id="x", received_at=NOW),)
    ending = decide(restoring(holder(commands=wish), state=RestoreState.RESTORING, attempt="r1 99.000000", timeline=2))
    assert ending.rule == "restore_cancelled"
    undo = step_of(ending, UndoRestore)
    assert undo.id == "r1"
    assert not [step for step in ending.steps if isinstance(step, WriteOwn)]
    for error, words in ((None, "ended by a person"), ("the disk is full", "ended by a person, the disk is full")):
        ended = (outcome(JobKind.RESTORE, error=error, command=undo.command),)
        told = decide(restoring(holder(outcomes=ended), state=RestoreState.RESTORING, attempt="r1 99.000000", timeline=2))
        assert told.rule == "restore_ended"
        assert (step_of(told, WriteOwn).own.restore.state, step_of(told, WriteOwn).own.restore.error) == (RestoreState.FAILED, words)


def test_what_is_done_cannot_be_ended_any_more() -> None:
    wish = (CancelRestoreCommand(id="x", received_at=NOW),)
    done = leading(node=primary(timeline=2), outcomes=(outcome(JobKind.RESTORE, command=ATTEMPT),), commands=wish)
    for attempt in (ATTEMPT, "r1 99.000000"):
        decision = decide(restoring(done, state=RestoreState.RESTORING, attempt=attempt, timeline=2))
        assert decision.rule == "restore_cancelled"
        assert [type(step) for step in decision.steps] == [AnswerCommand]
        assert not step_of(decision, AnswerCommand).done


# --- afterwards

DONE = restore(member="b", state=RestoreState.DONE, timeline=2)


def after(**fields: Any) -> World:
    """A standby with data of before, down, after b has restored the cluster to timeline 2."""
    record = own(restore=DONE, timeline=2, parent=(1, 40_000_000))
    view = cluster("b", own=record, history=fields.pop("history", lines((1, 40_000_000))))
    return world(cluster=view, node=stopped("shut down in recovery", timeline=1), **fields)


def test_a_member_with_data_of_before_waits_until_the_history_is_there() -> None:
    assert decide(after(history=())).rule == "wait_for_history_of_restore"


def test_it_is_rewound_or_made_anew_whatever_the_settings_allow() -> None:
    policy = world().policy
    rewound = decide(after())
    assert rewound.rule == "repair_diverged"
    assert step_of(rewound, Rewind).wipe_on_failure
    anew = decide(after(policy=replace(policy, use_pg_rewind=False)))
    assert step_of(anew, CreateReplica)


def test_a_divergence_that_has_nothing_to_do_with_a_restore_is_left_to_the_settings() -> None:
    base = after(policy=replace(world().policy, use_pg_rewind=False))
    assert base.cluster is not None
    assert base.cluster.own is not None
    plain = replace(base, cluster=replace(base.cluster, own=replace(base.cluster.own, restore=None)))
    assert "parked" in decide(plain).reason
    on_failure = replace(plain, policy=replace(plain.policy, remove_data_directory_on_rewind_failure=True))
    assert "parked" in decide(on_failure).reason  # where no rewind may be tried, none has failed


def test_a_failed_one_leaves_the_old_rules_in_force() -> None:
    base = restoring(holder(), state=RestoreState.FAILED)
    assert decide(base).rule == "start_in_place"
