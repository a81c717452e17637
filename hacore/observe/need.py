"""Whether the other members must be asked this turn: only where a decision can rest on it."""

from hacore.model.cluster import ClusterView
from hacore.model.lease import Lease
from hacore.model.memory import Sightings
from hacore.model.node import NodeState


def peers_are_needed(*, cluster: ClusterView | None, node: NodeState, lease: Lease | None, sightings: Sightings) -> bool:
    """Tell whether there is no leader, a switchover is pending, or the lock is held and this node is not primary yet."""
    if cluster is None:
        return False
    if lease is None:
        return cluster.lock is None
    return not node.is_primary or cluster.failover is not None or sightings.demoting is not None
