"""Whether a recovery to the end of the archive came to the end of what the archive has.

To PostgreSQL a segment that is missing is the end: there it opens for writes, without a word about what comes after. It even notes in the
history of the new timeline that it left the one it was told to follow, which it may never have come to.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory, TimelineSwitch
from hacore.postgres.archive_look import is_in_archive, named, segment_on_the_way
from hacore.postgres.instance import Instance
from hacore.postgres.job import JobHandle

_LOOK_AHEAD: Final = 8  # segments; how many are lost at once nobody knows, and each look starts the archive's tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """``segment`` is missing or damaged, and ``later`` is known to come after it.

    ``instead``: the timeline that is there to its end, where the segment is the first of the newest one: it may never have been archived.
    """

    segment: str
    at: Lsn
    later: str
    instead: int | None = None

    def __str__(self) -> str:
        return f"the WAL ends at {self.at}, {self.segment} is missing or damaged, and {self.later} comes after it"


def gap_after(instance: Instance, job: JobHandle, timeline: int, restore_command: str, *, is_written_to: bool) -> Gap | None:
    """Look behind the end at which the server has begun ``timeline``; ``None``: nothing is known to come after it.

    An archive that does not answer now counts as one that has nothing more: it has just given everything before.

    :param is_written_to: others may have archived since the recovery came to its end.
    """
    history = instance.histories.of(timeline)
    if history is None or not history.switches:
        return None
    segment_bytes = instance.control.read(instance.programs).control.wal_segment_bytes

    def has(name: str) -> bool:
        job.progress(f"asks the archive whether it has {name}")
        return is_in_archive(instance, job, name, restore_command)

    return gap_in(history, segment_bytes, has) or gap_behind(history.switches[-1], segment_bytes, has, is_written_to=is_written_to)


def gap_in(history: TimelineHistory, segment_bytes: int, has: Callable[[str], bool]) -> Gap | None:
    """Tell whether the last timeline in a history was left before it began: its own first record comes after where the one before ended."""
    if len(history.switches) < 2 or history.switches[-1].switchpoint > history.switches[-2].switchpoint:  # noqa: PLR2004 - a pair
        return None
    *earlier, left = history.switches
    followed = TimelineHistory(timeline=left.timeline, switches=tuple(earlier))
    number, begins = left.switchpoint // segment_bytes, earlier[-1].switchpoint // segment_bytes
    here, after = (segment_on_the_way(followed, number + step, segment_bytes) for step in range(2))
    is_inside = left.switchpoint % segment_bytes > 0 and number < begins and has(here) and not has(after)  # as in ``gap_behind``
    number, segment = (number + 1, after) if is_inside else (number, here)
    instead = earlier[-1].timeline if number == begins else None
    return Gap(segment=segment, at=left.switchpoint, later=f"timeline {left.timeline}", instead=instead)


def gap_behind(left: TimelineSwitch, segment_bytes: int, has: Callable[[str], bool], *, is_written_to: bool) -> Gap | None:
    """Ask the archive for what would come after the end.

    A segment that traffic has filled ends inside a record: without the next one, PostgreSQL's end is in the one before. Where others write
    to the archive, a segment that was wanted and is there now has come after it was asked for, and so has what is behind it: an archiver
    keeps the order. Nobody can tell that from one that was there and is damaged: where nobody writes, that is what it is.
    """
    number = left.switchpoint // segment_bytes
    names = [named(left.timeline, number + step, segment_bytes) for step in range(_LOOK_AHEAD + 1)]
    there = {name: has(name) for name in names}
    missing = next((name for name in names if not there[name]), names[-1])
    later = next((name for name in names if there[name] and name > missing), None)
    if later is not None:
        return None if is_written_to and has(missing) else Gap(segment=missing, at=left.switchpoint, later=later)
    if there[names[1]] and not is_written_to:
        return Gap(segment=names[0], at=left.switchpoint, later=names[1])
    return None
