"""Rules for the holder of the lease whose server is primary."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from hacore.decide.election import successors
from hacore.decide.own import with_claim, without_hold
from hacore.decide.promoting import guard_must_be_armed
from hacore.decide.records import blank_request, missing_records
from hacore.decide.table import Table
from hacore.decide.upstreams import slot_changes
from hacore.decide.views import Leading, leading
from hacore.model.cluster import FailoverRequest, HistoryLine
from hacore.model.jobs import JobKind
from hacore.model.steps import EndServer, ReloadServer, RememberDemotion, TakeCheckpoint, WriteHistory, WriteOwn
from hacore.model.world import Answer

_RETRY_CHECKPOINT_S = 5.0


def timeline_of_another(seen: Leading) -> Answer | None:
    """The server is on a timeline that another token has claimed: two histories would share one number (I6)."""
    timeline = seen.node.timeline
    claimed = seen.own.claimed_by(timeline) if timeline is not None else None
    if claimed in (None, seen.lease.token):
        return None
    reason = f"timeline {timeline} is claimed by token {claimed}, this is token {seen.lease.token}"
    return Answer(reason=reason, steps=(EndServer(reason=reason),))


def claim_own_timeline(seen: Leading) -> Answer | None:
    """A primary that was taken over as it runs claims the timeline that it is on; a bootstrap that is done is marked so."""
    timeline = seen.node.timeline
    if timeline is None or (seen.own.claimed_by(timeline) is not None and not seen.own.bootstrapping):
        return None
    own = replace(with_claim(seen.own, timeline), bootstrapping=False, timeline=timeline)
    return Answer(
        reason=f"claims timeline {timeline}", steps=(WriteOwn(own=own), *missing_records(seen.world, seen.cluster)), wake_after_s=0
    )


def restore_records(seen: Leading) -> Answer | None:
    """Write ``initialize`` and ``config`` where they are missing or wrong (interface reference 5.2)."""
    steps = missing_records(seen.world, seen.cluster)
    return Answer(reason="records are missing", steps=steps, wake_after_s=0) if steps else None


def clear_marks(seen: Leading) -> Answer | None:
    """The guard is armed again: the note that this node was left unfenced goes. A switchover is over: nothing is held back any more."""
    if seen.own.unfenced is None and seen.own.hold is None:
        return None
    reason = "maintenance has ended" if seen.own.unfenced is not None else "the switchover is over"
    own = replace(without_hold(seen.own), unfenced=None)
    return Answer(reason=reason, steps=(WriteOwn(own=own),), wake_after_s=0)


def failover_request_is_over(seen: Leading) -> Answer | None:
    """A request that is done, stale, or cannot be carried out is blanked."""
    request = seen.cluster.failover
    if request is None:
        return None
    why = _why_not(seen, request)
    return None if why is None else Answer(reason=f"request dropped: {why}", steps=(blank_request(request),), wake_after_s=0)


def switchover_requested(seen: Leading) -> Answer | None:
    """A person asked for a switchover that is due and possible: begin to hand over."""
    request = seen.cluster.failover
    if request is None or not request.is_due(seen.world.wall):
        return None
    if not seen.world.peers_asked:
        return Answer(reason="asks the candidates", wake_after_s=0)
    candidate = request.candidate or ""
    return Answer(reason=f"switchover to {candidate or 'the best member'}", steps=(RememberDemotion(candidate=candidate),), wake_after_s=0)


def work_beside_leading(seen: Leading) -> Answer | None:
    """Checkpoint, restart or stop goes on."""
    job = seen.world.job
    return None if job is None else Answer(reason=f"the {job.kind} job goes on")


def first_checkpoint(seen: Leading) -> Answer | None:
    """After a promotion a checkpoint puts the new timeline into the control file: others may rewind from here only then."""
    timeline, done = seen.node.timeline, seen.world.sightings.checkpointed_timeline
    outcome = seen.world.outcome(JobKind.CHECKPOINT)
    if timeline is None or timeline == done:
        return None
    if outcome is not None and not outcome.is_done and seen.now - outcome.ended_at < _RETRY_CHECKPOINT_S:
        return None
    return Answer(reason=f"first checkpoint on timeline {timeline}", steps=(TakeCheckpoint(),))


def write_history(seen: Leading) -> Answer | None:
    """Bring ``/history`` up to the server's timeline."""
    history = seen.node.history
    if history is None or history.timeline != seen.node.timeline:
        return None
    known = {(line.timeline, line.lsn): line for line in seen.cluster.history or ()}
    lines = tuple(
        known.get(
            (switch.timeline, switch.switchpoint), HistoryLine(timeline=switch.timeline, lsn=switch.switchpoint, reason=switch.reason)
        )
        for switch in history.switches
    )
    keep = seen.world.policy.max_timelines_history
    lines = lines[-keep:] if keep > 0 else lines
    if tuple((line.timeline, line.lsn) for line in lines) == tuple((line.timeline, line.lsn) for line in seen.cluster.history or ()):
        return None
    return Answer(reason="the timeline history has grown", steps=(WriteHistory(lines=lines),), wake_after_s=0)


def tend_slots_of_standbys(seen: Leading) -> Answer | None:
    """Keep a physical slot for each standby that streams from here."""
    step = slot_changes(seen.world, seen.cluster)
    return None if step is None else Answer(reason="slots of members differ", steps=(step,), wake_after_s=seen.world.times.loop_wait_s)


def keep_leading(seen: Leading) -> Answer | None:
    """Nothing but the renewal, which the turn began with; settings that changed are brought in."""
    if seen.node.settings_wanted:
        return Answer(reason="settings have changed", steps=(ReloadServer(),))
    return Answer(reason=f"leads under token {seen.lease.token}")


def _why_not(seen: Leading, request: FailoverRequest) -> str | None:
    """Return why ``request`` is to be blanked; ``None`` where it stands (interface reference 5.5)."""
    if request.leader not in (None, seen.name):
        return f"{request.leader} is not the leader"
    if request.candidate == seen.name:
        return "this node leads already"
    if request.scheduled_at is not None:
        late = seen.world.wall - request.scheduled_at
        if late > timedelta(seconds=1.5 * seen.world.times.loop_wait_s):
            return "its time has passed"
        if request.scheduled_at > seen.world.wall:
            return None
    if not seen.world.peers_asked:
        return None
    able = {peer.name for peer in successors(seen.world) if peer.streams is not False}
    if request.candidate is not None and request.candidate not in able:
        return f"{request.candidate} cannot take over"
    return None if able else "no member can take over"


LEADING: Final = Table(
    name="leading",
    narrow=leading,
    rules=(
        guard_must_be_armed,
        timeline_of_another,
        claim_own_timeline,
        restore_records,
        clear_marks,
        failover_request_is_over,
        switchover_requested,
        work_beside_leading,
        first_checkpoint,
        write_history,
        tend_slots_of_standbys,
        keep_leading,
    ),
)
