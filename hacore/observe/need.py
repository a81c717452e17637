"""Whether the other members must be asked this turn: only where a decision can rest on it."""

from hacore.model.clock import Instant
from hacore.model.cluster import ClusterView
from hacore.model.lease import Lease
from hacore.model.memory import Sightings
from hacore.model.node import NodeState


def peers_are_needed(*, now: Instant, cluster: ClusterView | None, node: NodeState, lease: Lease | None, sightings: Sightings) -> bool:
    """Tell whether there is no leader, or one that has stood still, a switchover is pending, or the lock is held here without a primary."""
    if cluster is None:
        return False
    if lease is None:
        return cluster.lock is None or (sightings.lock_stale_at is not None and now >= sightings.lock_stale_at)
    return not node.is_primary or cluster.failover is not None or sightings.demoting is not None
