"""Whom a standby shall stream from, and for whom a server keeps slots."""

from hacore.model.address import host_and_port
from hacore.model.cluster import ClusterView, Member
from hacore.model.node import Upstream
from hacore.model.slots import slot_name
from hacore.model.steps import ReconcileSlots
from hacore.model.world import World

NOBODY = Upstream(member=None)


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


def _leader_name(cluster: ClusterView) -> str | None:
    return cluster.lock.holder if cluster.lock else None


def slot_changes(world: World, cluster: ClusterView) -> ReconcileSlots | None:
    """Return the step that brings the physical slots of members in order, ``None`` where they are.

    Slots of members that were here within ``member_slots_ttl`` stay; only slots of members that this cluster has seen are dropped.
    """
    if not world.policy.use_slots:
        return None
    wanted = {slot_name(member.name) for member in world.others if _streams_from_me(world, cluster, member)}
    kept = {
        slot_name(name)
        for name, seen_at in world.sightings.members_seen
        if world.now - seen_at < world.policy.member_slots_ttl_s and not _streams_elsewhere(world, cluster, name)
    }
    ours = set(cluster.own.known_members if cluster.own else ()) | set(world.memory.members)
    there = {slot.name: slot for slot in world.node.slots if slot.is_physical}
    surplus = sorted(name for name in {slot_name(member) for member in ours} - wanted - kept if name in there and not there[name].active)
    missing = sorted(wanted - set(there))
    if not surplus and not missing:
        return None
    return ReconcileSlots(wanted=tuple(missing), droppable=tuple(surplus))


def _streams_from_me(world: World, cluster: ClusterView, member: Member) -> bool:
    if member.tags.nostream:
        return False
    named = member.tags.replicatefrom
    if named is not None and named != member.name and cluster.member(named) is not None:
        return named == world.me.name
    return _leader_name(cluster) == world.me.name


def _streams_elsewhere(world: World, cluster: ClusterView, name: str) -> bool:
    if name == world.me.name or _leader_name(cluster) != world.me.name:
        return True
    member = cluster.member(name)
    return member is not None and not _streams_from_me(world, cluster, member)
