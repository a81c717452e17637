"""Narrowed views of the world: what a table may take for granted."""

from dataclasses import dataclass
from typing import Final

from hacore.decide.election import heir_had_its_time, is_former_holder, why_not_eligible
from hacore.model.clock import Instant
from hacore.model.cluster import ClusterView, OwnRecord, Restore
from hacore.model.commands import ShutdownCommand
from hacore.model.jobs import JobKind
from hacore.model.lease import Lease, Lock
from hacore.model.node import DirectoryState, NodeState, ServerState
from hacore.model.world import World

_STARTING: Final = frozenset({JobKind.START, JobKind.RESTART, JobKind.PROMOTE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The store was read."""

    world: World
    cluster: ClusterView

    @property
    def now(self) -> Instant:
        """Return the instant of this turn."""
        return self.world.now

    @property
    def node(self) -> NodeState:
        """Return this node's PostgreSQL."""
        return self.world.node

    @property
    def name(self) -> str:
        """Return this member's name."""
        return self.world.me.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Leading(Known):
    """This node holds the lease; the own record stands in the store."""

    lease: Lease
    own: OwnRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Following(Known):
    """The lock is held, not under a lease of this node."""

    lock: Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoring(Known):
    """The cluster is on its way back to a point in time."""

    own: OwnRecord
    restore: Restore

    def holding(self) -> Leading | None:
        """Return the view of the holder of the lease, if this node is it."""
        return _holding(self.world)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsure:
    """The store could not be read."""

    world: World


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The agent was asked to end."""

    world: World
    command: ShutdownCommand


def any_world(world: World) -> World:
    """Do not narrow."""
    return world


def ending(world: World) -> Ending | None:
    """Narrow to an agent that was asked to end; in a pause what has the server down for a moment comes to its end first."""
    command = next((command for command in world.commands if isinstance(command, ShutdownCommand)), None)
    if command is None or (world.policy.pause and _leaves_server_down(world)):
        return None
    return Ending(world=world, command=command)


def unsure(world: World) -> Unsure | None:
    """Narrow to a turn without a view of the store."""
    return Unsure(world=world) if world.cluster is None else None


def known(world: World) -> Known | None:
    """Narrow to a turn with a view of the store."""
    return None if world.cluster is None else Known(world=world, cluster=world.cluster)


def paused(world: World) -> Known | None:
    """Narrow to a cluster in maintenance."""
    return known(world) if world.policy.pause else None


def restoring(world: World) -> Restoring | None:
    """Narrow to a cluster that a person takes back to a point in time."""
    own = world.cluster.own if world.cluster is not None else None
    if world.cluster is None or own is None or own.restore is None or not own.restore.is_active:
        return None
    return Restoring(world=world, cluster=world.cluster, own=own, restore=own.restore)


def empty(world: World) -> Known | None:
    """Narrow to a node whose data directory cannot be started as it is, and has no server."""
    directory = world.node.directory.state
    is_bare = directory is not DirectoryState.INITIALIZED and world.node.server is ServerState.STOPPED
    return known(world) if is_bare else None


def leading(world: World) -> Leading | None:
    """Narrow to the holder of the lease whose server is out of recovery."""
    return _holding(world) if world.node.is_primary else None


def promoting(world: World) -> Leading | None:
    """Narrow to the holder of the lease whose server is not (yet, or any more) primary."""
    return None if world.node.is_primary else _holding(world)


def handing_over(world: World) -> Leading | None:
    """Narrow to a leader that is carrying out a switchover."""
    return None if world.sightings.demoting is None else _holding(world)


def leaderless(world: World) -> Known | None:
    """Narrow to a cluster whose lock nobody holds, or whose holder has stood still for so long that its lock counts as gone."""
    return known(world) if world.lease is None and _living_lock(world) is None else None


def following(world: World) -> Following | None:
    """Narrow to a cluster whose lock is held, and not by this node's lease."""
    lock = _living_lock(world)
    if world.cluster is None or lock is None or world.lease is not None:
        return None
    return Following(world=world, cluster=world.cluster, lock=lock)


def _leaves_server_down(world: World) -> bool:
    """Tell whether something is under way that must not be broken off where nobody starts the server again, nor disarms its guard."""
    job, demoting_since = world.job, world.sightings.demoting_since
    if job is not None:
        return job.kind in _STARTING or (job.kind is JobKind.STOP and demoting_since is not None)
    if world.node.server not in {ServerState.STOPPING, ServerState.STOPPED}:
        return False
    # It is started as a standby of whoever leads next, or as a primary again where nobody comes; where it fails or may not, nobody waits.
    if demoting_since is not None and (world.lease is not None or world.cluster is not None):
        return not _has_tried_to_start(world, demoting_since) and not _may_not_return(world)
    copied, other = world.outcome(JobKind.CREATE_REPLICA), following(world)
    is_awaited = world.is_down_for_copy and other is not None and other.lock.holder != world.me.name
    return is_awaited and copied is not None and not _has_tried_to_start(world, copied.ended_at)


def _may_not_return(world: World) -> bool:
    """Tell whether nobody comes, and something stands against this node's start as the primary that it was."""
    seen = leaderless(world)
    is_left_alone = seen is not None and heir_had_its_time(world) and is_former_holder(world, seen.cluster)
    return is_left_alone and why_not_eligible(world) is not None


def _has_tried_to_start(world: World, since: Instant) -> bool:
    started = world.outcome(JobKind.START)
    return started is not None and started.ended_at >= since


def _living_lock(world: World) -> Lock | None:
    lock = world.cluster.lock if world.cluster is not None else None
    stale_at = world.sightings.lock_stale_at
    is_gone = lock is not None and lock.holder != world.me.name and stale_at is not None and world.now >= stale_at
    return None if is_gone else lock


def _holding(world: World) -> Leading | None:
    if world.lease is None or world.cluster is None or world.cluster.own is None:
        return None
    return Leading(world=world, cluster=world.cluster, lease=world.lease, own=world.cluster.own)
