"""Whether a recovery to the end of the archive came to the end of what the archive has.

To PostgreSQL a segment that is missing is the end: there it opens for writes, without a word about what comes after. It even notes in the
history of the new timeline that it left the one it was told to follow, which it may never have come to.
"""

from dataclasses import dataclass
from typing import Final

from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory
from hacore.postgres.archive_look import is_in_archive, named, segment_on_the_way
from hacore.postgres.instance import Instance
from hacore.postgres.job import JobHandle

_LOOK_AHEAD: Final = 8  # segments; how many are lost at once nobody knows, and each look starts the archive's tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """``segment`` is missing or damaged, and ``later`` is known to come after it."""

    segment: str
    at: Lsn
    later: str

    def __str__(self) -> str:
        return f"the WAL ends at {self.at}, {self.segment} is missing or damaged, and {self.later} comes after it"


def gap_after(instance: Instance, job: JobHandle, timeline: int, restore_command: str) -> Gap | None:
    """Look behind the end at which the server has begun ``timeline``; ``None``: nothing is known to come after it.

    An archive that does not answer now counts as one that has nothing more: it has just given everything before.
    """
    history = instance.histories.of(timeline)
    if history is None or not history.switches:
        return None
    segment_bytes = instance.control.read(instance.programs).control.wal_segment_bytes
    return gap_in(history, segment_bytes) or _gap_in_archive(instance, job, history, restore_command, segment_bytes)


def gap_in(history: TimelineHistory, segment_bytes: int) -> Gap | None:
    """Tell whether the last timeline in a history was left before it began: its own first record comes after where the one before ended."""
    if len(history.switches) < 2 or history.switches[-1].switchpoint > history.switches[-2].switchpoint:  # noqa: PLR2004 - a pair
        return None
    *earlier, left = history.switches
    followed = TimelineHistory(timeline=left.timeline, switches=tuple(earlier))
    segment = segment_on_the_way(followed, left.switchpoint // segment_bytes, segment_bytes)
    return Gap(segment=segment, at=left.switchpoint, later=f"timeline {left.timeline}")


def _gap_in_archive(
    instance: Instance, job: JobHandle, history: TimelineHistory, restore_command: str, segment_bytes: int
) -> Gap | None:  # fmt: skip
    left = history.switches[-1]
    number = left.switchpoint // segment_bytes
    for later in (named(left.timeline, number + step, segment_bytes) for step in range(1, _LOOK_AHEAD + 1)):
        job.progress(f"asks the archive whether it has {later}")
        if is_in_archive(instance, job, later, restore_command):
            return Gap(segment=named(left.timeline, number, segment_bytes), at=left.switchpoint, later=later)
    return None
