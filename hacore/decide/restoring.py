"""Rules while a cluster goes back to a point in time: one member restores under the lease, the others stand still, nobody else leads.

What is to be done stands in the own record, with the lock: nobody takes the lock without seeing it. A restore that fails leaves the cluster
as it was before.
"""

from dataclasses import replace
from typing import Final

from hacore.decide.election import challenge_at, store_went_back
from hacore.decide.following import resume_lease
from hacore.decide.own import acquisition, on_timeline_of, with_claim, without_idle_claims
from hacore.decide.promoting import guard_must_be_armed
from hacore.decide.table import Table
from hacore.decide.views import Restoring, following, leaderless, restoring
from hacore.model.cluster import RestoreState
from hacore.model.commands import CancelRestoreCommand
from hacore.model.jobs import JobKind
from hacore.model.node import ServerState
from hacore.model.steps import (
    AcquireLease,
    AnswerCommand,
    CancelJob,
    EndServer,
    ReleaseLease,
    RestoreFromBackup,
    StopMode,
    StopServer,
    UndoRestore,
    WriteOwn,
)
from hacore.model.world import Answer

_STOP_S = 300.0  # for the other members to stop
_ENDED = "ended by a person"
_STILL = frozenset({"stopped", "crashed", "start failed", "stop failed", "initdb failed"})


def restore_cancelled(seen: Restoring) -> Answer | None:
    """A person ends it: what was there is put back, by the work in flight or, where that died with its agent, by work of its own."""
    command = next((one for one in seen.world.commands if isinstance(one, CancelRestoreCommand)), None)
    job, lease = seen.world.job, seen.world.lease
    if command is None or lease is None:
        return None
    if job is not None:
        if job.cancelled or job.kind is not JobKind.RESTORE:
            return None
        return _ending(seen, command, CancelJob(kind=job.kind, reason=_ENDED))
    if _has_succeeded(seen):
        answer = AnswerCommand(id=command.id, done=False, text="the restore has come to its end already")
        return Answer(reason="asked to end a restore that is done", steps=(answer,), wake_after_s=0)
    if seen.restore.state is RestoreState.RESTORING:
        return _ending(seen, command, UndoRestore(id=seen.restore.id, command=_undoing(seen)))
    answer = AnswerCommand(id=command.id, done=True, text="the restore has ended, the cluster is as it was before")
    return Answer(reason="asked to end the restore", steps=(_failed(seen, _ENDED), answer), wake_after_s=0)


def work_of_restoring(seen: Restoring) -> Answer | None:
    """The restore, or a stop, goes on; any other work is ended."""
    job = seen.world.job
    if job is None:
        return None
    if job.kind in {JobKind.RESTORE, JobKind.STOP} or job.cancelled:
        return Answer(reason=f"the {job.kind} job goes on", wake_after_s=1.0)
    return Answer(reason="the cluster is restored", steps=(CancelJob(kind=job.kind, reason="the cluster is restored"),), wake_after_s=0.2)


def resume_lease_to_restore(seen: Restoring) -> Answer | None:
    """An agent that was started again goes on with its lock."""
    other = following(seen.world)
    return None if other is None else resume_lease(other)


def primary_without_lease_while_restoring(seen: Restoring) -> Answer | None:
    """Nothing of the old data is written any more."""
    if seen.world.lease is not None or not seen.node.is_primary:
        return None
    reason = f"the cluster is restored by {seen.restore.member}"
    return Answer(reason=reason, steps=(EndServer(reason=reason),), wake_after_s=0.1)


def stop_for_restore(seen: Restoring) -> Answer | None:
    """Members without the lease stop first."""
    if seen.world.lease is not None or seen.node.server is ServerState.STOPPED:
        return None
    reason = f"the cluster is restored by {seen.restore.member}"
    return Answer(reason=reason, steps=(StopServer(mode=StopMode.FAST, reason=reason),))


def restorer_returns(seen: Restoring) -> Answer | None:
    """The member that restores lost the lock: it alone takes it again, as soon as nobody else can hold it."""
    world, memory, own = seen.world, seen.world.memory, seen.own
    if seen.restore.member != seen.name or leaderless(world) is None or not seen.node.fence.reachable:
        return None
    held_last = memory.held_token is not None and memory.held_token == own.token and not store_went_back(world, seen.cluster)
    left_s = challenge_at(world, seen.cluster) - seen.now
    if not held_last and left_s > 0:
        return Answer(reason=f"goes on with the restore in {left_s:.1f} s", wake_after_s=left_s)
    step = AcquireLease(own=acquisition(world, seen.cluster), own_version=seen.cluster.own_version or 0, replaces=seen.cluster.lock)
    return Answer(reason="goes on with the restore", steps=(step,), wake_after_s=0)


def standing_still(seen: Restoring) -> Answer | None:
    """Somebody else restores; whoever holds the lock without being the one gives it back."""
    if seen.restore.member == seen.name and seen.world.lease is not None:
        return None
    if seen.world.lease is not None and seen.node.server is ServerState.STOPPED:
        return Answer(reason="holds the lock of a cluster that another one restores", steps=(ReleaseLease(clean=True),), wake_after_s=1)
    return Answer(reason=f"the cluster is restored by {seen.restore.member}: stands still", wake_after_s=1)


def armed_while_restoring(seen: Restoring) -> Answer | None:
    """Nothing that enables writes is done before the guard holds the deadline."""
    holder = seen.holding()
    return None if holder is None else guard_must_be_armed(holder)


def restore_ended(seen: Restoring) -> Answer | None:
    """Tell everybody how it went."""
    error = _failure(seen)
    if error is not None:
        return Answer(reason=f"the restore has failed: {error}", steps=(_failed(seen, error),), wake_after_s=0)
    if not _has_succeeded(seen):
        return None
    if not seen.node.is_primary or seen.node.timeline is None:
        return Answer(reason="restored; waits until the server answers", wake_after_s=0.2)
    timeline = seen.node.timeline
    done = replace(seen.own, restore=replace(seen.restore, state=RestoreState.DONE, timeline=timeline))
    own = with_claim(on_timeline_of(done, seen.node), timeline)
    return Answer(reason=f"restored, on timeline {timeline}", steps=(WriteOwn(own=own),), wake_after_s=0)


def wait_for_members_to_stop(seen: Restoring) -> Answer | None:
    """Standbys first: a member whose record says that it runs is waited for; one without a record can neither lead nor follow."""
    if seen.restore.state is not RestoreState.STOPPING:
        return None
    running = sorted(one.name for one in seen.world.others if one.state not in _STILL)
    if not running:
        return None
    waited_s = (seen.world.wall - seen.restore.asked_at).total_seconds()
    if waited_s > _STOP_S:
        error = f"{', '.join(running)} did not stop in {_STOP_S:.0f} s"
        return Answer(reason=error, steps=(_failed(seen, error),), wake_after_s=0)
    return Answer(reason=f"waits until {', '.join(running)} stands still", wake_after_s=0.5)


def stop_before_restore(seen: Restoring) -> Answer | None:
    """Then the server of this node: in order, so that it can go on as it was should the restore fail."""
    if seen.node.server is ServerState.STOPPED:
        return None
    reason = "restore"
    return Answer(reason=reason, steps=(StopServer(mode=StopMode.FAST, reason=reason, checkpoint_first=seen.node.is_primary),))


def begin_restore(seen: Restoring) -> Answer | None:
    """Claim a timeline of its own for each attempt, then begin."""
    restore, attempt = seen.restore, _attempt(seen)
    if restore.state is RestoreState.STOPPING or restore.attempt != attempt:
        timeline = (
            max([restore.along, seen.own.timeline or 0, seen.world.memory.timeline or 0, *(number for number, _ in seen.own.claims)]) + 1
        )
        begun = replace(restore, state=RestoreState.RESTORING, attempt=attempt, timeline=timeline)
        own = with_claim(replace(seen.own, restore=begun), timeline)
        return Answer(reason=f"claims timeline {timeline} for the restore", steps=(WriteOwn(own=own),), wake_after_s=0)
    step = RestoreFromBackup(
        id=restore.id,
        backup=restore.backup,
        target=restore.target,
        along=restore.along,
        timeline=restore.timeline or 0,
        system_id=seen.cluster.initialize or None,
        keep=restore.keep,
        command=attempt,
    )
    return Answer(reason=f"restores {restore.backup} to {restore.target}", steps=(step,), wake_after_s=1.0)


def _ending(seen: Restoring, command: CancelRestoreCommand, step: CancelJob | UndoRestore) -> Answer:
    what = "what was there is put back" if seen.restore.keep else f"the old data of {seen.name} was given up with it"
    answer = AnswerCommand(id=command.id, done=True, text=f"the restore is being ended, {what}")
    return Answer(reason="asked to end the restore", steps=(step, answer), wake_after_s=0.2)


def _failure(seen: Restoring) -> str | None:
    """Return why work of this agent has ended without a restored cluster; ``None``: it has not."""
    outcome = seen.world.outcome(JobKind.RESTORE)
    if outcome is None or outcome.command not in {_attempt(seen), _undoing(seen)}:
        return None
    if outcome.command == _undoing(seen):
        return _ENDED if outcome.is_done else f"{_ENDED}, {outcome.error}"
    return None if outcome.is_done else outcome.error or "it has failed"


def _has_succeeded(seen: Restoring) -> bool:
    """Tell whether it is done: by this agent, or by one before it, where the server is primary without a mark on the timeline claimed."""
    outcome = seen.world.outcome(JobKind.RESTORE)
    if outcome is not None and outcome.command == _attempt(seen) and outcome.is_done:
        return True
    is_there = seen.node.is_primary and seen.node.timeline is not None and seen.node.timeline == seen.restore.timeline
    return seen.restore.state is RestoreState.RESTORING and is_there and seen.node.directory.mark is None


def _attempt(seen: Restoring) -> str:
    """Name this agent's attempt: one that was started again begins anew, on a timeline that nobody has used."""
    return f"{seen.restore.id} {seen.world.sightings.started_at:.6f}"


def _undoing(seen: Restoring) -> str:
    return f"{_attempt(seen)} undone"


def _failed(seen: Restoring, error: str) -> WriteOwn:
    """Nobody leads on the timelines that its attempts have claimed: while a claim is ahead of its leader others wait for a promotion."""
    return WriteOwn(own=without_idle_claims(replace(seen.own, restore=replace(seen.restore, state=RestoreState.FAILED, error=error))))


RESTORING: Final = Table(
    name="restoring",
    narrow=restoring,
    rules=(
        restore_cancelled,
        work_of_restoring,
        resume_lease_to_restore,
        primary_without_lease_while_restoring,
        stop_for_restore,
        restorer_returns,
        standing_still,
        armed_while_restoring,
        restore_ended,
        wait_for_members_to_stop,
        stop_before_restore,
        begin_restore,
    ),
)
