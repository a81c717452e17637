"""Rules for a planned switchover on the side of the old leader: checkpoint, drain, fast stop, release where a candidate has everything.

Where no router can hold anything back there is no mark, no drain and no turn for them.
"""

from dataclasses import replace
from typing import Final

from hacore.decide.election import is_named, received
from hacore.decide.ending import writes_have_ended
from hacore.decide.own import drain_s, without_hold
from hacore.decide.promoting import guard_must_be_armed, start_failed_recently
from hacore.decide.records import blank_request
from hacore.decide.table import Table
from hacore.decide.views import Leading, handing_over
from hacore.model.clock import Instant
from hacore.model.cluster import HoldMark
from hacore.model.jobs import JobKind
from hacore.model.lsn import Lsn
from hacore.model.node import Role, ServerState
from hacore.model.steps import (
    Arm,
    DrainTraffic,
    ReleaseLease,
    RememberDemotion,
    StartServer,
    Step,
    StopMode,
    StopServer,
    TakeCheckpoint,
    WriteOwn,
)
from hacore.model.world import Answer, World

_RECEIVE_LIMIT_S = 10.0  # for the candidate to receive the shutdown checkpoint
_ASK_AGAIN_S = 0.02


def start_again_in_pause(seen: Leading) -> Answer | None:
    """A hand-over was given up in a pause and the first start failed: it is tried until the primary runs, or a person fails over."""
    world = seen.world
    since, started = world.sightings.demoting_since, world.outcome(JobKind.START)
    if not world.policy.pause or world.job is not None or since is None or started is None or started.ended_at < since:
        return None
    if seen.node.is_primary:
        return Answer(reason="the primary runs again", steps=(RememberDemotion(candidate=None),), wake_after_s=0)
    return start_again(seen, "a hand-over") if seen.node.server is ServerState.STOPPED else None


def release_to_candidate(seen: Leading) -> Answer | None:
    """Writes have ended and a candidate holds the shutdown checkpoint: give the lock back with a clean mark."""
    control = seen.node.directory.control
    if not writes_have_ended(seen.world) or control is None or not control.is_clean_primary_shutdown:
        return None
    heir = _who_received(seen, control.checkpoint_lsn)
    if heir is None:
        return None
    return Answer(
        reason=f"{heir} has the shutdown checkpoint {control.checkpoint_lsn}",
        steps=(ReleaseLease(clean=True, optime=control.checkpoint_lsn),),
        wake_after_s=0,
    )


def hand_over_is_stuck(seen: Leading) -> Answer | None:
    """Nobody received the shutdown checkpoint in time, or the server did not stop in order: stay leader.

    Without maintenance the primary is started in place then; in it, only where this was what stopped it.
    """
    since = _down_since(seen)
    control = seen.node.directory.control
    unclean = seen.node.server is ServerState.STOPPED and (control is None or not control.is_clean_primary_shutdown)
    if seen.node.server is not ServerState.STOPPED or seen.world.job is not None or since is None:
        return None
    if not unclean and seen.now - since < _RECEIVE_LIMIT_S + seen.world.times.loop_wait_s:
        return None
    why = "the stop was not clean" if unclean else "no candidate received the shutdown checkpoint"
    if not seen.world.policy.pause:
        return _given_up(why, RememberDemotion(candidate=None), *_withdrawal(seen))
    return _given_up(why, *_withdrawal(seen), Arm(), back_as_primary(seen.world))  # it is remembered until the primary runs


def waiting_for_candidate(seen: Leading) -> Answer | None:
    """The candidate is asked again until it has the shutdown checkpoint."""
    if not writes_have_ended(seen.world):
        return None
    return Answer(reason="waits until a candidate has the shutdown checkpoint", wake_after_s=_ASK_AGAIN_S)


def hand_over_in_flight(seen: Leading) -> Answer | None:
    """Checkpoint, drain or stop goes on."""
    job = seen.world.job
    return None if job is None else Answer(reason=f"the {job.kind} job goes on", wake_after_s=1)


def hand_over_withdrawn(seen: Leading) -> Answer | None:
    """The person took the wish back while there was time to."""
    if seen.node.is_primary and seen.cluster.failover is None:
        return _given_up("the request was withdrawn", RememberDemotion(candidate=None), *_withdrawal(seen))
    return None


def hand_over_refused(seen: Leading) -> Answer | None:
    """A gate has vetoed the switchover, its first work failed, or routers that must hold work back did not: stay leader."""
    since = seen.world.sightings.demoting_since
    if not seen.node.is_primary or since is None:
        return None
    drain = (JobKind.DRAIN,) if seen.world.policy.drain_aborts else ()
    for kind in (JobKind.CHECKPOINT, *drain, JobKind.STOP):
        outcome = seen.world.outcome(kind)
        if outcome is not None and not outcome.is_done and outcome.ended_at >= since:
            return _given_up(outcome.error or "", RememberDemotion(candidate=None), *_withdrawal(seen))
    return None


def checkpoint_before_hand_over(seen: Leading) -> Answer | None:
    """CHECKPOINT first: the shutdown that follows has little left to write."""
    since, outcome = seen.world.sightings.demoting_since, seen.world.outcome(JobKind.CHECKPOINT)
    if not seen.node.is_primary or since is None or (outcome is not None and outcome.ended_at >= since):
        return None
    return Answer(reason="switchover: checkpoint first", steps=(TakeCheckpoint(switchover_to=seen.world.sightings.demoting),))


def mark_hold(seen: Leading) -> Answer | None:
    """Before routers hold anything back the own record says so: whoever leads next, or a new agent, lets it go."""
    if not seen.node.is_primary or drain_s(seen.world) <= 0 or _is_marked(seen) or _has_drained(seen):
        return None
    limit_s = seen.world.policy.drain_timeout_s + seen.world.times.ttl_s
    hold = HoldMark(switchover_id=f"{seen.lease.token}-{seen.own.heartbeat}", token=seen.lease.token, limit_s=limit_s)
    own = replace(seen.own, hold=hold, heartbeat=seen.own.heartbeat + 1)
    return Answer(reason="switchover: marks that work is held back", steps=(WriteOwn(own=own),), wake_after_s=0)


def drain_before_stop(seen: Leading) -> Answer | None:
    """Routers hold new work back and let what is under way end; the lease is renewed meanwhile."""
    if not seen.node.is_primary or drain_s(seen.world) <= 0 or seen.own.hold is None or _has_drained(seen):
        return None
    candidate, timeout_s = seen.world.sightings.demoting or None, seen.world.policy.drain_timeout_s
    step = DrainTraffic(switchover_id=seen.own.hold.switchover_id, candidate=candidate, timeout_s=timeout_s)
    return Answer(reason="switchover: routers hold work back", steps=(step,))


def stop_for_hand_over(seen: Leading) -> Answer | None:
    """Stop fast: the shutdown checkpoint goes to every standby that streams."""
    if seen.node.server is not ServerState.RUNNING:
        return Answer(reason=f"waits: the server is {seen.node.server}", wake_after_s=0.5)
    timeout_s = seen.world.policy.primary_stop_timeout_s or None
    step = StopServer(mode=StopMode.FAST, reason="switchover", timeout_s=timeout_s, switchover_to=seen.world.sightings.demoting)
    return Answer(reason="switchover: stops the primary", steps=(step,))


def _who_received(seen: Leading, checkpoint: Lsn) -> str | None:
    named = seen.world.sightings.demoting
    return next((peer.name for peer in received(seen.world, checkpoint) if named in ("", peer.name)), None)


def _down_since(seen: Leading) -> Instant | None:
    """Return when the stop of this hand-over ended: what came before it, a long CHECKPOINT perhaps, is no time for receiving."""
    since, stopped = seen.world.sightings.demoting_since, seen.world.outcome(JobKind.STOP)
    return since if since is None or stopped is None else max(since, stopped.ended_at)


def _is_marked(seen: Leading) -> bool:
    return seen.own.hold is not None and seen.own.hold.token == seen.lease.token


def _has_drained(seen: Leading) -> bool:
    since, outcome = seen.world.sightings.demoting_since, seen.world.outcome(JobKind.DRAIN)
    return outcome is not None and since is not None and outcome.ended_at >= since


def _withdrawal(seen: Leading) -> list[Step]:
    """Return the steps that take back what the store says of the hand-over."""
    steps: list[Step] = []
    if seen.cluster.failover is not None:
        steps.append(blank_request(seen.cluster.failover))
    if seen.own.hold is not None and seen.node.is_primary:  # one that is down first becomes primary again, up to the mark's limit
        steps.append(WriteOwn(own=without_hold(seen.own)))
    return steps


def _given_up(reason: str, *steps: Step) -> Answer:
    return Answer(reason=f"switchover given up: {reason}", steps=steps, wake_after_s=0)


def start_again(seen: Leading, stopped_for: str) -> Answer:
    """Start a primary that is down in a pause for what a person has asked, under its lock; whoever a person fails over to comes first."""
    request = seen.cluster.failover
    if request is not None and request.candidate not in (None, seen.name) and is_named(request, request.candidate):
        return Answer(reason=f"{request.candidate} was named", steps=(ReleaseLease(clean=True),), wake_after_s=0)
    start = Answer(reason=f"the primary was stopped for {stopped_for}", steps=(back_as_primary(seen.world),))
    return guard_must_be_armed(seen) or start_failed_recently(seen) or start


def back_as_primary(world: World) -> StartServer:
    """Return the step that starts a primary again that was stopped for a hand-over of which nothing came."""
    return StartServer(role=Role.PRIMARY, timeout_s=world.policy.primary_start_timeout_s or None)


HANDING_OVER: Final = Table(
    name="handing_over",
    narrow=handing_over,
    rules=(
        start_again_in_pause,
        release_to_candidate,
        hand_over_is_stuck,
        waiting_for_candidate,
        hand_over_in_flight,
        hand_over_withdrawn,
        hand_over_refused,
        checkpoint_before_hand_over,
        mark_hold,
        drain_before_stop,
        stop_for_hand_over,
    ),
)
