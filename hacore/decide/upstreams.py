"""Whom a standby shall stream from, and for whom a server keeps slots."""

from hacore.model.address import host_and_port
from hacore.model.cluster import ClusterView, Member
from hacore.model.lsn import Lsn
from hacore.model.node import SlotState, Upstream
from hacore.model.slots import slot_name
from hacore.model.steps import CreateReplica, ReconcileSlots
from hacore.model.world import World

NOBODY = Upstream(member=None)
_SEGMENT_BYTES = 16 * 1024 * 1024


def wanted_upstream(world: World, cluster: ClusterView) -> Upstream:
    """Return ``replicatefrom`` where that member runs, else the leader, else nobody. ``nostream`` never streams."""
    tags = world.me.tags
    if tags.nostream:
        return NOBODY
    named = cluster.member(tags.replicatefrom) if tags.replicatefrom else None
    source = named if named is not None and named.is_running and named.name != world.me.name else cluster.leader
    if source is None or source.name == world.me.name or source.conn_url is None:
        return NOBODY
    host, port = host_and_port(source.conn_url)
    return Upstream(member=source.name, host=host, port=port, slot=slot_name(world.me.name) if world.policy.use_slots else None)


def clone_source(world: World, cluster: ClusterView) -> str | None:
    """Return the member to copy from: a running one tagged ``clonefrom`` (spread by name over several), else the leader."""
    tagged = sorted(
        member.name for member in world.others if member.tags.clonefrom and member.is_running and member.name != _leader_name(cluster)
    )
    if tagged:
        return tagged[sum(world.me.name.encode()) % len(tagged)]
    return _leader_name(cluster)


def creation(world: World, cluster: ClusterView, leader: str, *, source: str | None = None, command: str | None = None) -> CreateReplica:
    """Return the step that makes this node a copy under ``leader``, by default of the member that :func:`clone_source` says."""
    return CreateReplica(
        leader=leader,
        source=source or clone_source(world, cluster),
        system_id=cluster.initialize or None,
        is_remembered=bool(cluster.initialize) and world.memory.system_id == cluster.initialize,
        command=command,
    )


def is_ready_to_copy(cluster: ClusterView) -> bool:
    """Tell whether the holder of the lock is primary by its record, which outlives it: the work asks the server before it wipes (I10)."""
    leader = cluster.leader
    return leader is not None and leader.is_running and leader.role == "primary"


def _leader_name(cluster: ClusterView) -> str | None:
    return cluster.lock.holder if cluster.lock else None


def slot_changes(world: World, cluster: ClusterView) -> ReconcileSlots | None:
    """Return the step that brings the physical slots of members in order, ``None`` where they are.

    Every node that may become leader keeps a slot for every other member, so that they stream from a new leader at once; those of members
    that stream elsewhere are moved forward. Slots of members that were here within ``member_slots_ttl`` stay; only slots of members that
    this cluster has seen are dropped (interface reference 7).
    """
    if not world.policy.use_slots:
        return None
    wanted = {slot_name(member.name) for member in world.others if _needs_slot_here(world, cluster, member)}
    there = {slot.name: slot for slot in world.node.slots if slot.is_physical}
    step = ReconcileSlots(
        wanted=tuple(sorted(wanted - set(there))),
        droppable=tuple(name for name in _surplus(world, cluster, wanted) if name in there and not there[name].active),
        advance=tuple(_advances(world, cluster, there)),
    )
    return step if step != ReconcileSlots() else None


def _needs_slot_here(world: World, cluster: ClusterView, member: Member) -> bool:
    if member.tags.nostream:
        return False
    return world.me.tags.may_lead or _streams_from_me(world, cluster, member)


def _surplus(world: World, cluster: ClusterView, wanted: set[str]) -> list[str]:
    """Return the slots of members of this cluster that are not wanted, nor kept for one that was here a while ago.

    One that this agent has never seen may have been here until just before it was started.
    """
    ours = set(cluster.own.known_members if cluster.own else ()) | set(world.memory.members)
    seen, began_at = dict(world.sightings.members_seen), world.sightings.started_at
    kept = {
        slot_name(name)
        for name in ours
        if cluster.member(name) is None and world.now - seen.get(name, began_at) < world.policy.member_slots_ttl_s
    }
    return sorted({slot_name(name) for name in ours} - wanted - kept)


def _advances(world: World, cluster: ClusterView, there: dict[str, SlotState]) -> list[tuple[str, Lsn]]:
    """Return how far inactive slots of members that stream elsewhere may go: by whole segments, as WAL is kept by whole segments."""
    mine = world.node.flushed_lsn if world.node.is_primary else world.node.replayed_lsn
    published = dict(cluster.status.slots)
    found = []
    for member in world.others:
        slot = there.get(slot_name(member.name))
        if slot is None or slot.active or slot.restart_lsn is None or mine is None or _streams_from_me(world, cluster, member):
            continue
        reached = max(published.get(slot.name, Lsn(0)), member.replay_lsn or member.lsn or Lsn(0))
        target = min(mine, reached)
        if target - slot.restart_lsn >= _SEGMENT_BYTES:
            found.append((slot.name, target))
    return found


def _streams_from_me(world: World, cluster: ClusterView, member: Member) -> bool:
    named = member.tags.replicatefrom
    if named is not None and named != member.name and cluster.member(named) is not None:
        return named == world.me.name
    return _leader_name(cluster) == world.me.name
