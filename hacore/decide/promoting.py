"""Rules for the holder of the lease whose server is not primary: a standby to be promoted, or a primary that went down."""

from typing import Final

from hacore.decide.election import better_peer, is_named, successors
from hacore.decide.own import with_claim
from hacore.decide.records import blank_request
from hacore.decide.table import Table
from hacore.decide.upstreams import NOBODY
from hacore.decide.views import Leading, promoting
from hacore.model.jobs import JobKind
from hacore.model.node import DirectoryState, Role, ServerState
from hacore.model.steps import Arm, CancelJob, EndServer, Promote, ReleaseLease, StartServer, WriteOwn
from hacore.model.world import Answer

_RETRY_START_S = 1.0


def start_overdue(seen: Leading) -> Answer | None:
    """The start of a crashed primary has used up ``primary_start_timeout``, and somebody else can take over."""
    job = seen.world.job
    if job is None or job.kind not in {JobKind.START, JobKind.RESTART} or _budget_left_s(seen) > 0 or not successors(seen.world):
        return None
    reason = "primary_start_timeout is used up"
    return Answer(reason=reason, steps=(CancelJob(kind=job.kind, reason=reason), EndServer(reason=reason)), wake_after_s=0.1)


def taking_over_in_flight(seen: Leading) -> Answer | None:
    """Promotion, start or stop goes on under a lease that is renewed."""
    job = seen.world.job
    if job is None:
        return None
    return Answer(reason=f"the {job.kind} job goes on", wake_after_s=1.0)


def guard_must_be_armed(seen: Leading) -> Answer | None:
    """Nothing that enables writes is done before the guard holds the deadline."""
    fence = seen.node.fence
    if fence.armed and fence.token == seen.lease.token:
        return None
    if not fence.reachable:
        return Answer(reason="the guard does not answer", wake_after_s=0.1)
    return Answer(reason="arms the guard", steps=(Arm(),), wake_after_s=0)


def give_up_crashed_primary(seen: Leading) -> Answer | None:
    """A primary that does not come back within its budget leaves the lock to a standby that can take over.

    One that merely does not answer has ``retry_timeout`` at least: a single slow reading is no crash.
    """
    left_s = _budget_left_s(seen)
    if seen.node.server is ServerState.UNREACHABLE:
        left_s = max(left_s, seen.world.times.retry_timeout_s - _down_for_s(seen))
    if seen.node.role is Role.STANDBY or left_s > 0 or not successors(seen.world):
        return None
    if seen.node.server is not ServerState.STOPPED:
        reason = f"the primary is {seen.node.server} beyond primary_start_timeout"
        return Answer(reason=reason, steps=(EndServer(reason=reason),), wake_after_s=0.1)
    return Answer(reason="the primary is down beyond primary_start_timeout", steps=(ReleaseLease(clean=True),), wake_after_s=0)


def start_failed_recently(seen: Leading) -> Answer | None:
    """A start that failed is tried again after a moment."""
    outcome = seen.world.outcome(JobKind.START)
    if seen.node.server is not ServerState.STOPPED or outcome is None or outcome.is_done:
        return None
    left_s = outcome.ended_at + min(_RETRY_START_S * outcome.failures, 10.0) - seen.now
    return None if left_s <= 0 else Answer(reason=f"the last start failed: {outcome.error}", wake_after_s=left_s)


def start_in_place(seen: Leading) -> Answer | None:
    """A crashed primary that still holds the lock is started again on the same timeline."""
    directory = seen.node.directory
    if seen.node.server is not ServerState.STOPPED or directory.state is not DirectoryState.INITIALIZED:
        return None
    if directory.has_standby_signal or directory.control is None or not directory.control.was_primary:
        return None
    claimed = seen.own.claimed_by(directory.control.timeline)
    if claimed not in (None, seen.lease.token):
        return None
    timeout_s = max(_budget_left_s(seen), 10.0)
    return Answer(reason="the primary went down", steps=(StartServer(role=Role.PRIMARY, timeout_s=timeout_s),))


def start_before_promotion(seen: Leading) -> Answer | None:
    """A standby that is down is started, to be promoted then."""
    if seen.node.server is not ServerState.STOPPED:
        return None
    return Answer(reason="starts before the promotion", steps=(StartServer(role=Role.STANDBY, upstream=NOBODY),))


def waiting_for_server(seen: Leading) -> Answer | None:
    """The server does not answer yet, or the others were not asked under this lease yet."""
    if seen.node.server is not ServerState.RUNNING or seen.node.role is None:
        return Answer(reason=f"the server is {seen.node.server}", wake_after_s=0.2)
    return None if seen.world.peers_asked else Answer(reason="asks the other members", wake_after_s=0)


def yield_to_better_peer(seen: Leading) -> Answer | None:
    """Positions that justify the promotion are sampled after the lock is held: give it back to a member that has more."""
    request = seen.cluster.failover
    if is_named(request, seen.name):
        return None
    peer = better_peer(seen.world, seen.cluster, by_priority=request is None)
    if peer is None:
        return None
    return Answer(reason=f"{peer.name} is ahead, at {peer.lsn}", steps=(ReleaseLease(clean=True),), wake_after_s=0.5)


def promotion_failed(seen: Leading) -> Answer | None:
    """A promotion that failed, or that a gate refused, leaves the lock to somebody else (interface reference 8.5).

    So ends the wish that made this node the next leader: the others would wait for it.
    """
    outcome, since, request = seen.world.outcome(JobKind.PROMOTE), seen.world.sightings.down_since, seen.cluster.failover
    if outcome is None or outcome.is_done or since is None or outcome.ended_at < since:
        return None
    is_another = request is None or request.candidate not in (None, seen.name) or not request.is_due(seen.world.wall)
    wish = () if request is None or is_another else (blank_request(request),)
    return Answer(reason=f"the promotion failed: {outcome.error}", steps=(*wish, ReleaseLease(clean=True)), wake_after_s=1)


def claim_timeline(seen: Leading) -> Answer | None:
    """Before the node calls itself primary it claims its new timeline: one epoch per timeline number (I6)."""
    timeline = _next_timeline(seen)
    if seen.own.claimed_by(timeline) == seen.lease.token:
        return None
    return Answer(reason=f"claims timeline {timeline}", steps=(WriteOwn(own=with_claim(seen.own, timeline)),), wake_after_s=0)


def promote(seen: Leading) -> Answer | None:
    """Leave recovery under a lease that is renewed."""
    return Answer(reason="holds the lock", steps=(Promote(timeline=_next_timeline(seen)),))


def _next_timeline(seen: Leading) -> int:
    """Return a timeline after the server's own, after any that this node has seen, and after those that other tokens have claimed."""
    current, remembered = seen.node.timeline or 0, seen.world.memory.timeline or 0
    others = [number for number, token in seen.own.claims if token != seen.lease.token and number > current]
    return max([current, remembered, *others]) + 1


def _budget_left_s(seen: Leading) -> float:
    """Return what crashes in a row have left of ``primary_start_timeout``."""
    return seen.world.policy.primary_start_timeout_s - seen.world.sightings.down_s - _down_for_s(seen)


def _down_for_s(seen: Leading) -> float:
    since = seen.world.sightings.down_since
    return 0.0 if since is None else seen.now - since


PROMOTING: Final = Table(
    name="promoting",
    narrow=promoting,
    rules=(
        start_overdue,
        taking_over_in_flight,
        guard_must_be_armed,
        give_up_crashed_primary,
        start_failed_recently,
        start_in_place,
        start_before_promotion,
        waiting_for_server,
        yield_to_better_peer,
        promotion_failed,
        claim_timeline,
        promote,
    ),
)
