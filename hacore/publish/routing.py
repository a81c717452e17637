"""Where traffic shall go, from the world of one turn (integrations reference 14.6): what routers are told.

A pure fold over the worlds of all turns. It decides nothing: who takes writes follows from the lease, and from what the holder of the
lock has written into the own record since it is primary. It does not know which routers there are.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from hacore.interfaces import Endpoint, Hold, RoutingState
from hacore.model.address import host_and_port
from hacore.model.clock import Instant
from hacore.model.cluster import ClusterView, Member, OwnRecord
from hacore.model.commands import ShutdownCommand
from hacore.model.node import ServerState
from hacore.model.world import World
from hacore.publish.member import member_of

_DOWN: Final = frozenset({"stopped", "stopping", "stop failed", "crashed", "start failed"})  # a leader that says so takes no writes
_MS: Final = 1000


def next_state(before: RoutingState | None, world: World, *, written: OwnRecord | None = None) -> RoutingState | None:
    """Return what is desired after a turn; ``before`` itself where nothing has changed.

    ``None``: nothing is known yet. An agent that has just been started and cannot read the store tells nothing for one ttl: the outside
    stands as the agent before it left it, and that is more than this one knows.

    :param world: of the turn, with the lease as it is after its steps.
    :param written: the own record where the turn wrote it: routers know of a mark before they are asked to hold anything back.
    """
    if before is None and world.cluster is None and world.lease is None and not _has_waited(world):
        return None
    leader = _leader(world, before)
    leads = world.lease is not None and leader is not None and leader.member == world.me.name
    members, token = _members(world, before, leader), _token(world, before)
    own = written if written is not None else world.cluster.own if world.cluster is not None else None
    state = RoutingState(
        token=token,
        revision=0 if before is None else before.revision,
        me=_me(world),
        leader=leader,
        leads=leads,
        standbys=_standbys(world, before, members, leader),
        members=members,
        hold=_hold(before, own, leader, world) if own is not None else _kept_hold(before, leads=leads),
        valid_until=world.lease.fence_at if world.lease is not None and (leads or not _gives_up(world)) else None,
        is_paused=world.policy.pause,
    )
    return before if state == before else replace(state, revision=_revision(before, world.now))


def renewed(before: RoutingState, fence_at: Instant, now: Instant) -> RoutingState:
    """Return the same state with the new instant at which the fence begins."""
    return replace(before, valid_until=fence_at, revision=_revision(before, now)) if before.valid_until is not None else before


def lease_ended(before: RoutingState, last: World | None, now: Instant) -> RoutingState:
    """Return the state of a node that holds the lease no more and has not looked again.

    One that ran out in maintenance, because nobody could renew it, ends nobody's writes: PostgreSQL goes on, and so do clients.

    :param last: the world of the turn before.
    """
    ran_out = before.valid_until is not None and before.valid_until <= now
    is_me = before.leader is not None and before.leader.member == before.me.member
    stays = not is_me or (ran_out and last is not None and _runs_unfenced(last))
    return replace(before, leader=before.leader if stays else None, leads=False, valid_until=None, revision=_revision(before, now))


def _gives_up(world: World) -> bool:
    """Tell whether this node hands its lease over or ends: what stands with the lease goes before that, at the stop."""
    return world.sightings.demoting is not None or any(isinstance(command, ShutdownCommand) for command in world.commands)


def _revision(before: RoutingState | None, now: Instant) -> int:
    """Grow, also over a restart of the agent."""
    return max(0 if before is None else before.revision + 1, int(now * _MS))


def _has_waited(world: World) -> bool:
    """Tell whether every lease that stood when this agent was started has ended; in pause its holder leads on without."""
    return not (world.policy.pause or world.memory.paused) and world.now - world.sightings.started_at > world.times.ttl_s


def _token(world: World, before: RoutingState | None) -> int:
    if world.lease is not None:
        return world.lease.token
    if world.cluster is not None:
        return world.cluster.own.token if world.cluster.own is not None else world.memory.token
    return max(world.memory.token, before.token if before is not None else 0)


# --- who takes writes --------------------------------------------------------------------------------------------------


def _leader(world: World, before: RoutingState | None) -> Endpoint | None:
    view, me, known = world.cluster, world.me.name, before.leader if before is not None else None
    if world.lease is not None and _takes_writes(world):
        return _me(world)
    if world.lease is None and view is not None and view.lock is not None and view.lock.holder != me and is_primary_under_its_lock(view):
        return _endpoint(view.leader, view) if view.leader is not None else None
    if known is None or (view is not None and not _leads_on_in_pause(known.member, view, world)):
        return None
    if known.member == me:
        return _me(world) if _runs_unfenced(world) else None  # elsewhere a leader that cannot renew ends itself
    return known if world.lease is None else None


def _leads_on_in_pause(name: str, view: ClusterView, world: World) -> bool:
    """Tell whether, in maintenance, a primary whose lease ran out is still the only one there may be (safety.md 4).

    Nobody has taken its lock, or it has itself and has not renewed it yet.
    """
    own, lock, member = view.own, view.lock, view.member(name)
    is_down = member is not None and member.state in _DOWN
    is_only = own is not None and own.unfenced == name and (lock is None or lock.holder == name)
    return world.policy.pause and is_only and not is_down


def _runs_unfenced(world: World) -> bool:
    """Tell whether this node's primary runs in maintenance without a fence.

    The guard was disarmed only after the own record named this node as the only one that may take the lock.
    """
    node = world.node
    runs = node.server is ServerState.UNREACHABLE or (node.server is ServerState.RUNNING and node.is_primary)
    return runs and world.policy.pause and not node.fence.armed


def _takes_writes(world: World) -> bool:
    """Tell whether this node, which holds the lease, is primary; one that only does not answer in time still is."""
    node, view = world.node, world.cluster
    if node.server is ServerState.UNREACHABLE:
        return view is not None and view.own is not None and view.own.claimed_by(view.own.timeline or 0) == view.own.token
    if node.server is not ServerState.RUNNING or not node.is_primary:
        return False
    claimed = view.own.claimed_by(node.timeline) if view is not None and view.own is not None and node.timeline is not None else None
    return claimed is None or world.lease is None or claimed == world.lease.token


def is_primary_under_its_lock(view: ClusterView) -> bool:
    """Tell whether the holder of the lock has been primary under this very lock.

    Its first renewal as primary writes the timeline into the own record, which wakes every node; its member record follows later. Of a
    leader that is no hacore only the member record tells.
    """
    own, lock, holder = view.own, view.lock, view.leader
    if lock is None or holder is None or holder.state in _DOWN:
        return False
    if own is None or own.instance != lock.instance or own.holder != lock.holder:
        return not holder.is_hacore and holder.is_running and holder.role == "primary"
    mine = [timeline for timeline, token in own.claims if token == own.token]
    return not own.bootstrapping and bool(mine) and own.timeline == max(mine)


# --- what is held back -------------------------------------------------------------------------------------------------


def _hold(before: RoutingState | None, own: OwnRecord, leader: Endpoint | None, world: World) -> Hold | None:
    """Return what the mark asks for; nothing once somebody else than its leader takes writes. Its time counts from its first sight here."""
    mark = own.hold
    if mark is None or (leader is not None and (own.token != mark.token or leader.member != own.holder)):
        return None
    if before is not None and before.hold is not None and before.hold.switchover_id == mark.switchover_id:
        return before.hold
    return Hold(switchover_id=mark.switchover_id, ends_at=world.now + mark.limit_s)


def _kept_hold(before: RoutingState | None, *, leads: bool) -> Hold | None:
    """While the store is silent what is held stays held, but for a node that has become primary meanwhile."""
    return None if before is None or (leads and not before.leads) else before.hold


# --- members ---------------------------------------------------------------------------------------------------------


def _me(world: World) -> Endpoint:
    found = _endpoint(member_of(world), world.cluster)
    return found if found is not None else Endpoint(member=world.me.name, host="", port=0)


def _members(world: World, before: RoutingState | None, leader: Endpoint | None) -> tuple[Endpoint, ...]:
    """Return all members; of this node what it knows of itself, which is newer than its record. A leader's record may have ended."""
    view, me = world.cluster, world.me.name
    if view is None:
        known = before.members if before is not None else ()
        others = [one for one in known if one.member != me]
    else:
        others = list(_endpoints(view, me))
    if leader is not None and leader.member not in {me, *(one.member for one in others)}:
        others.append(leader)
    return tuple(sorted((*others, _me(world)), key=lambda one: one.member))


def _endpoints(view: ClusterView, me: str) -> Iterator[Endpoint]:
    for member in view.members:
        endpoint = _endpoint(member, view) if member.name != me else None
        if endpoint is not None:
            yield endpoint


def _standbys(
    world: World, before: RoutingState | None, members: tuple[Endpoint, ...], leader: Endpoint | None
) -> tuple[Endpoint, ...]:  # fmt: skip
    """Return those that answer queries, are no leader and want readers."""
    view = world.cluster
    if view is None:
        names = {one.member for one in before.standbys} if before is not None else set()
        names.discard(world.me.name)
    else:
        names = {member.name for member in view.members if member.name != world.me.name and _may_be_read(member)}
    if _may_be_read(member_of(world)):
        names.add(world.me.name)
    return tuple(one for one in members if one.member in names and (leader is None or one.member != leader.member))


def _may_be_read(member: Member) -> bool:
    return member.is_running and member.role in {"replica", "standby_leader"} and not member.tags.noloadbalance


def _endpoint(member: Member, view: ClusterView | None) -> Endpoint | None:
    """Return a member as a target; ``None`` where its record has no address."""
    try:
        host, port = host_and_port(member.conn_url or "")
    except ValueError:  # somebody else's record: not an address is as good as none
        return None
    if not host:
        return None
    optime = view.status.optime if view is not None else None
    lag = max(0, optime - member.lsn) if optime is not None and member.lsn is not None else None
    return Endpoint(
        member=member.name,
        host=host,
        port=port,
        state=member.state,
        is_streaming=member.replication_state == "streaming",
        lag_bytes=lag,
        tags=member.tags.published,
    )
