"""Whether this node's WAL is a prefix of the leader's history, as far as the records tell (safety.md 7).

The rewind itself looks again over a replication connection: this is the question that starts or spares it.
"""

from typing import Final

from hacore.model.cluster import ClusterView
from hacore.model.lsn import Lsn
from hacore.model.node import NodeState, ServerState
from hacore.model.timeline import TimelineHistory, TimelineSwitch

READ_S: Final = 10.0  # what it may take to find the end of the WAL of a server that has stopped


def recorded_history(cluster: ClusterView) -> TimelineHistory | None:
    """Return the history of the newest recorded timeline; ``None`` where ``/history`` is not yet that of this timeline.

    Numbers may be skipped (claims of others), so the own record says which timeline was left, and where; without it the last line has to
    be of the number before.
    """
    timeline, own = cluster.timeline, cluster.own
    if timeline is None or (cluster.history is None and timeline > 1):
        return None
    lines = cluster.history or ()
    last = (lines[-1].timeline, int(lines[-1].lsn)) if lines else None
    if timeline > 1 and own is not None and own.timeline == timeline and own.parent is not None:
        if last != own.parent:
            return None
    elif timeline > 1 and (last is None or last[0] < timeline - 1):
        return None
    return TimelineHistory(
        timeline=timeline,
        switches=tuple(TimelineSwitch(timeline=line.timeline, switchpoint=line.lsn, reason=line.reason) for line in lines),
    )


def local_end(node: NodeState) -> tuple[int, Lsn] | None:
    """Return timeline and end of the local WAL, also of what is not replayed; ``None`` where it cannot be known without recovery."""
    if node.server is ServerState.RUNNING:
        return None if node.timeline is None or node.lsn is None else (node.timeline, node.lsn)
    directory = node.directory
    if directory.wal_end is not None and directory.wal_end_timeline is not None:
        return directory.wal_end_timeline, directory.wal_end
    return None


def divergence(node: NodeState, cluster: ClusterView) -> str | None:
    """Return how the local WAL leaves the cluster's history, ``None`` where it does not, or where that cannot be told yet."""
    history, end = recorded_history(cluster), local_end(node)
    if history is None or end is None or node.upstream_reachable:
        return None  # nobody streams to a standby whose WAL is not a prefix
    timeline, lsn = end
    leader = cluster.leader
    if timeline > history.timeline:
        if leader is None or leader.role != "primary" or leader.timeline != history.timeline:
            return None  # the records are behind the leader
        return f"local timeline {timeline} is ahead of the cluster's {history.timeline}"
    if history.has_prefix(timeline, lsn):
        return None
    left = history.end_of(timeline)
    if left is None:
        return f"local timeline {timeline} is not in the cluster's history"
    return f"local WAL ends at {lsn}, the cluster left timeline {timeline} at {left}"
