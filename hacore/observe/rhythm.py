"""When a standby with nothing to do looks again: shortly after the leader is due to write (interface reference 3.4).

What the leader writes then wakes it, or has just been told by the store's watch, so that the picture which that keeps is young enough to
be looked at in the place of a reading. Knows nothing of how long anybody else waits.
"""

from typing import Final

from hacore.model.clock import Instant
from hacore.model.cluster import ClusterView

_AFTER_LEADER: Final = 0.05  # of loop_wait
_SOONEST: Final = 0.5  # of loop_wait: to get into step it looks once more at most


def after_leader_s(cluster: ClusterView | None, *, loop_wait_s: float, now: Instant) -> float:
    """Return how long to wait: a little longer than ``loop_wait``, less for whoever is out of step."""
    longest_s = loop_wait_s * (1 + _AFTER_LEADER)
    if cluster is None or cluster.own_received_at is None:
        return longest_s
    age_s = now - cluster.own_received_at
    return max(loop_wait_s * _SOONEST, longest_s - age_s) if age_s < loop_wait_s else longest_s  # one that is late is not waited for
