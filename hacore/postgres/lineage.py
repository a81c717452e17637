"""Whether local WAL is a prefix of another server's history (safety.md 7). Pure: the reading is done elsewhere."""

from dataclasses import dataclass

from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """All local WAL is part of the other history: it can simply be followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diverged:
    """Local WAL holds what the other history does not. ``at``: where they parted, ``None`` where they have no timeline in common."""

    at: Lsn | None
    reason: str


def compare(timeline: int, end: Lsn, leader: TimelineHistory, *, leader_end: Lsn | None = None) -> Prefix | Diverged:
    """Compare local WAL, which ends at ``end`` on ``timeline``, with the leader's history.

    :param leader_end: the leader's own position, where it is known: on the same timeline nobody may be ahead of it.
    """
    if timeline == leader.timeline:
        if leader_end is not None and end > leader_end:
            return Diverged(at=leader_end, reason=f"local WAL ends at {end}, the leader's on the same timeline {timeline} at {leader_end}")
        return Prefix()
    left_at = leader.end_of(timeline)
    if left_at is None:
        newest = max((switch.timeline for switch in leader.switches if switch.timeline < timeline), default=None)
        at = leader.end_of(newest) if newest is not None else None
        return Diverged(at=at, reason=f"timeline {timeline} is not in the history of the leader's timeline {leader.timeline}")
    if end > left_at:
        return Diverged(at=left_at, reason=f"local WAL ends at {end}, the leader left timeline {timeline} at {left_at}")
    return Prefix()
