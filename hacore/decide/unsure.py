"""Rules for a turn in which the store could not be read: assume neither that the lock is held nor that it is lost."""

from dataclasses import replace
from typing import Final

from hacore.decide.table import Table
from hacore.decide.unleased import limited
from hacore.decide.upstreams import NOBODY
from hacore.decide.views import Unsure, unsure
from hacore.model.node import DirectoryState, Role, ServerState
from hacore.model.steps import Disarm, StartServer, StopMode, StopServer
from hacore.model.world import Answer

_RETRY_S = 1.0


def work_goes_on_without_store(seen: Unsure) -> Answer | None:
    """Work in flight is not disturbed; what enables writes under a lost lease is ended by the urgent rules."""
    job = seen.world.job
    return None if job is None else Answer(reason=f"the {job.kind} job goes on", wake_after_s=_RETRY_S)


def pause_without_store(seen: Unsure) -> Answer | None:
    """In maintenance nothing is done, but that a guard that was armed for a restart is disarmed while the lease stands."""
    if not seen.world.policy.pause:
        return None
    steps = (Disarm(reason="pause"),) if seen.world.noted_unfenced and seen.world.node.fence.armed else ()
    return Answer(reason="pause; the store does not answer", steps=steps, wake_after_s=_RETRY_S)


def lease_about_to_expire(seen: Unsure) -> Answer | None:
    """Stop writes in order while there is time left to, before the guard does it by force."""
    world = seen.world
    if world.lease is None or not world.node.is_primary:
        return None
    left_s = world.lease.fence_at - world.now
    if left_s > min(1.0, world.lease.ttl_s / 10):
        return None
    return Answer(
        reason=f"the lease ends in {left_s:.1f} s",
        steps=(StopServer(mode=StopMode.FAST, reason="the lease ends", timeout_s=max(0.1, left_s)),),
    )


def leading_without_store(seen: Unsure) -> Answer | None:
    """The lease runs on until it ends; the renewal is tried again at once."""
    lease = seen.world.lease
    if lease is None:
        return None
    left_s = lease.fence_at - seen.world.now
    return Answer(reason=f"the lease is held for {left_s:.1f} s more", wake_after_s=max(0.05, min(_RETRY_S, left_s / 4)))


def adopted_primary_needs_a_deadline(seen: Unsure) -> Answer | None:
    """A primary that somebody else started, found while the store is away, gets its deadline once (safety.md 4); fenced before, it ends."""
    world = seen.world
    if not world.node.is_primary or world.lease is not None or world.memory.paused:
        return None
    answer = limited(world, "a primary without a lease runs here")
    return None if answer is None else replace(answer, wake_after_s=_RETRY_S)


def read_only_without_store(seen: Unsure) -> Answer | None:
    """A server that was stopped because its lease ended serves reads again as a standby of nobody; so does one that was a standby.

    A former primary waits where the store was not seen since the agent began: made a standby, it could not return to its lock at once.
    """
    world, directory = seen.world, seen.world.node.directory
    was_seen = world.sightings.own_version is not None or bool(world.sightings.members_seen)
    if world.node.server is not ServerState.STOPPED or directory.state is not DirectoryState.INITIALIZED:
        return None
    if not was_seen and not directory.has_standby_signal:
        return None
    if world.node.last_start_failed is not None:
        return None
    step = StartServer(role=Role.STANDBY, upstream=NOBODY)  # who led before the outage may be cut off, and have WAL that nobody else has
    return Answer(reason="serves reads until the store is back", steps=(step,))


def waiting_for_store(seen: Unsure) -> Answer | None:
    """Everything else waits."""
    return Answer(reason=f"the store does not answer: {seen.world.cluster_error}", wake_after_s=_RETRY_S)


UNSURE: Final = Table(
    name="unsure",
    narrow=unsure,
    rules=(
        work_goes_on_without_store,
        pause_without_store,
        lease_about_to_expire,
        leading_without_store,
        adopted_primary_needs_a_deadline,
        read_only_without_store,
        waiting_for_store,
    ),
)
