"""Who may take the lock, and when (safety.md 5). Questions only: the rules that ask them stand in the tables."""

from hacore.model.clock import Instant
from hacore.model.cluster import ClusterView, FailoverRequest, Member, OwnRecord
from hacore.model.lsn import Lsn
from hacore.model.node import DirectoryState, NodeState, PeerState, Role, ServerState
from hacore.model.world import World

_HEIR_LIMIT_S = 5.0  # how long the named candidate of a switchover has for taking the lock
_ENDED_STATES = frozenset({"stopped", "crashed", "start failed", "stop failed"})


def challenge_at(world: World, cluster: ClusterView) -> Instant:
    """Return from when on this node may challenge: at once under a clean mark, else T after what it saw last.

    The count starts when this node first *received* the revision of the own record that the acquiring transaction compares,
    so a challenger that was blind meanwhile is refused by the store.
    """
    seen, own = world.sightings, cluster.own
    if own is None:
        return _after_other_product(world, cluster, world.times.ttl_s)
    period_s = max(world.times.ttl_s, own.ttl_s)
    unmoved = _since(seen.own_version_since, seen.started_at) + period_s
    if _other_product_held(world, own):
        return max(unmoved, _after_other_product(world, cluster, period_s))
    return world.now if is_clean(own) else unmoved


def _after_other_product(world: World, cluster: ClusterView, period_s: float) -> Instant:
    """Return from when on a holder that keeps no own record cannot write any more: T after its lock was first missed.

    Not after it was last seen: the holder may have renewed between the two.
    """
    if _holder_has_ended(world, cluster):
        return world.now
    return _since(world.sightings.leaderless_since, world.now) + period_s


def is_clean(own: OwnRecord) -> bool:
    """Tell whether the last holder gave the lock back with writes provably ended: the mark counts only for its own lock instance."""
    return own.clean is not None and own.clean == own.instance


def _since(instant: Instant | None, otherwise: Instant) -> Instant:
    return otherwise if instant is None else instant


def _other_product_held(world: World, own: OwnRecord) -> bool:
    """Tell whether the newest lock seen is one that the own record does not name (held by another product)."""
    instance = world.sightings.lock_instance
    return instance is not None and own.instance is not None and instance != own.instance


def _holder_has_ended(world: World, cluster: ClusterView) -> bool:
    """Tell whether the last holder's record says stopped or demoted and its REST confirms it. That it cannot tell is no confirmation."""
    holder = cluster.member(world.sightings.lock_holder)
    peer = world.peer(world.sightings.lock_holder)
    if holder is None or not _cannot_write(peer):
        return False
    return holder.state in _ENDED_STATES or holder.role == "demoted"


def store_went_back(world: World, cluster: ClusterView) -> bool:
    """Tell whether the store is not the one that this node knew, or an older state of it: its records only restrict then."""
    memory, own = world.memory, cluster.own
    if memory.store_id is None:
        return False
    return own is None or own.store_id != memory.store_id or own.token < memory.token


def knows_of_no_cluster(world: World, cluster: ClusterView) -> bool:
    """Tell whether the store knows of no cluster, and this node of no store that did: what lies here has come from somewhere else."""
    return cluster.initialize is None and cluster.own is None and world.memory.store_id is None


def is_former_holder(world: World, cluster: ClusterView) -> bool:
    """Tell whether this node held the newest lease that anybody knows of: nobody can have written since.

    Where the own record is gone, only a primary that still runs may say so: one that is down cannot know who has led since.
    """
    memory = world.memory
    if memory.held_token is None or memory.held_token != memory.token:
        return False
    own, control = cluster.own, world.node.directory.control
    if own is None:
        return world.node.is_primary
    led_since = control is not None and (cluster.timeline or 0) > max(control.timeline, world.node.timeline or 0)
    if led_since or _other_product_held(world, own):
        return False
    return own.token <= memory.held_token if store_went_back(world, cluster) else own.token == memory.held_token


def heir_had_its_time(world: World) -> bool:
    """Tell whether nobody needs to wait any longer for the candidate that this node has handed over to.

    Its time is over, or somebody has had the lock and holds it no more, as where its promotion was refused: that may last a moment only.
    """
    sightings, own = world.sightings, world.cluster.own if world.cluster else None
    if own is not None and own.token > (world.memory.held_token or 0):
        return True
    free_since = max(sightings.demoting_since or 0.0, sightings.leaderless_since or 0.0)  # the lock; what came before had its own time
    return world.now - free_since > _HEIR_LIMIT_S + world.times.ttl_s


def wal_end(node: NodeState) -> Lsn | None:
    """Return the end of this node's WAL, also where the server is stopped."""
    if node.server is ServerState.RUNNING:
        return node.lsn
    directory = node.directory
    if directory.wal_end is not None or directory.control is None:
        return directory.wal_end
    return max(lsn for lsn in (directory.control.checkpoint_lsn, directory.control.min_recovery_lsn or Lsn(0)))


def why_not_eligible(world: World) -> str | None:
    """Return why this node may not lead whatever the others say; ``None`` where nothing stands against it."""
    me, node = world.me, world.node
    if not me.tags.may_lead:
        return "its tags exclude it"
    if world.refuses_election is not None:
        return world.refuses_election
    if not node.fence.reachable:
        return "its guard does not answer"
    if node.directory.state is not DirectoryState.INITIALIZED:
        return "its data directory is not whole"
    own = world.cluster.own if world.cluster else None
    if own and own.unfenced not in (None, me.name) and not _cannot_write(world.peer(own.unfenced)):
        return _why_not_forced(world, own.unfenced)
    return None


def _cannot_write(peer: PeerState | None) -> bool:
    """Tell whether a peer has just proven that its server is stopped or in recovery. Of another product ``crashed`` proves nothing."""
    if peer is None or not peer.reachable:
        return False
    return peer.role is Role.STANDBY or peer.state == "stopped" or (peer.is_hacore and peer.state in _ENDED_STATES)


def _why_not_forced(world: World, unfenced: str) -> str | None:
    """Return what a person has to do before this node may lead beside one that was left unfenced; ``None`` where that is done.

    Who was named while somebody led was to get the lock in order, from its holder.
    """
    lacks = f"{unfenced} was left unfenced in pause and is not proven stopped: see to it, then"
    if not is_named(world.cluster.failover if world.cluster else None, world.me.name):
        return f"{lacks} name this node in a failover"
    if not world.sightings.failover_was_leaderless:
        return f"{lacks} give the failover to this node again: the one that stands may be from before {unfenced} was lost"
    return None


def is_named(request: FailoverRequest | None, name: str) -> bool:
    """Tell whether a person wants ``name`` to lead whatever it lacks: a failover. A switchover never means to lose anything."""
    return request is not None and request.leader is None and request.candidate == name


def why_behind(world: World, cluster: ClusterView) -> str | None:
    """Return why this node is behind the durable records by more than I3 allows, even if it is alone."""
    node = world.node
    lsn, timeline = wal_end(node), node.timeline or (node.directory.control.timeline if node.directory.control else None)
    if lsn is None or timeline is None:
        return "its position is not known"
    recorded = max(cluster.timeline or 0, world.memory.timeline or 0)
    if timeline < recorded:
        return f"it is on timeline {timeline}, the cluster on {recorded}"
    optime = max(cluster.status.optime or Lsn(0), world.memory.lsn or Lsn(0))
    lag = optime - lsn
    if lag > world.policy.maximum_lag_on_failover:
        return f"it is {lag} bytes behind the recorded position, {world.policy.maximum_lag_on_failover} are allowed"
    return None


def electable(peers: tuple[PeerState, ...]) -> tuple[PeerState, ...]:
    """Return the peers that answered and could be promoted."""
    return tuple(
        peer
        for peer in peers
        if peer.reachable and not peer.nofailover and not peer.refuses_election and peer.role is Role.STANDBY and peer.state == "running"
    )


def living_primary(world: World) -> PeerState | None:
    """Return a peer that says that it is out of recovery."""
    return next((peer for peer in world.peers if peer.reachable and peer.role is Role.PRIMARY), None)


def better_peer(world: World, cluster: ClusterView, *, by_priority: bool = True) -> PeerState | None:
    """Return a peer that has more WAL, or as much and a higher failover priority (the former leader is not preferred by priority)."""
    mine = wal_end(world.node)
    timeline = world.node.timeline or 0
    former = cluster.own.holder if cluster.own else None
    for peer in electable(world.peers):
        if peer.lsn is None or mine is None or not _could_take_the_lock(world, cluster, peer):
            continue
        position, own_position = (peer.timeline or timeline, peer.lsn), (timeline, mine)
        if position > own_position:
            return peer
        if by_priority and position == own_position and peer.failover_priority > world.me.tags.failover_priority and peer.name != former:
            return peer
    return None


def _could_take_the_lock(world: World, cluster: ClusterView, peer: PeerState) -> bool:
    """A peer without a record does not reach the store, it seems: it is waited for until T after the lock was seen to be gone."""
    if cluster.member(peer.name) is not None:
        return True
    since = world.sightings.leaderless_since
    return since is not None and world.now - since < world.times.ttl_s


def successors(world: World) -> tuple[PeerState, ...]:
    """Return peers that could take over from this leader now: they answered, are electable and not too far behind."""
    mine, recorded = wal_end(world.node), (world.cluster.timeline if world.cluster else None) or 0
    able = tuple(peer for peer in electable(world.peers) if peer.timeline is None or peer.timeline >= recorded)
    if mine is None:
        return able
    return tuple(peer for peer in able if peer.lsn is not None and mine - peer.lsn <= world.policy.maximum_lag_on_failover)


def successors_without_loss(world: World) -> tuple[PeerState, ...]:
    """Return peers that could take over from this member and have everything that it has."""
    mine = wal_end(world.node)
    return tuple(peer for peer in successors(world) if mine is None or (peer.lsn is not None and peer.lsn >= mine))


def received(world: World, checkpoint: Lsn) -> tuple[PeerState, ...]:
    """Return peers that could take over and have all that a primary wrote until its shutdown ``checkpoint``, that one included."""
    return tuple(peer for peer in successors(world) if peer.lsn is not None and peer.lsn > checkpoint)


def remembered_and_silent(world: World) -> tuple[str, ...]:
    """Return every other member that this node remembers and that did not answer: a store that went back asks for all of them."""
    heard = {peer.name for peer in world.peers if peer.reachable} | {world.me.name}
    return tuple(name for name in world.memory.members if name not in heard)


def record_of(world: World, name: str | None) -> Member | None:
    """Return the record of the member called ``name``."""
    return world.cluster.member(name) if world.cluster else None
