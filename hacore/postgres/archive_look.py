"""Which segments lie on the way of a history, and what the archive has: asked by the ``restore_command``, as PostgreSQL does."""

from pathlib import Path
from typing import Final

from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory
from hacore.postgres.files import read_if_there
from hacore.postgres.history import HistoryReader, name_of, parse_history
from hacore.postgres.instance import NOBODY, Instance
from hacore.postgres.job import JobHandle
from hacore.postgres.marks import filled
from hacore.postgres.wal_end import Start, segment_of

_PLACE: Final = "wal.looked-for"  # below the state directory
_NO_ARCHIVE: Final = "false"  # PostgreSQL insists on a command


def segment_on_the_way(history: TimelineHistory, number: int, segment_bytes: int) -> str:
    """Return the name of a segment as a recovery to this history reads it: of the newest timeline that has begun in it or before."""
    return named(timeline_on_the_way(history, number, segment_bytes), number, segment_bytes)


def timeline_on_the_way(history: TimelineHistory, number: int, segment_bytes: int) -> int:
    """Return the timeline whose file a recovery to this history reads: the first file of a timeline has also what came before in it."""
    timelines = [*(one.timeline for one in history.switches), history.timeline]
    begun = [timeline for timeline, one in zip(timelines[1:], history.switches, strict=True) if one.switchpoint // segment_bytes <= number]
    return max(begun, default=timelines[0])


def named(timeline: int, number: int, segment_bytes: int) -> str:
    """Return the name of the segment that begins at ``number * segment_bytes``."""
    return segment_of(Start(timeline=timeline, lsn=Lsn(number * segment_bytes)), segment_bytes)


def history_from(instance: Instance, job: JobHandle, timeline: int) -> TimelineHistory | None:
    """Return the history of a timeline of this cluster, from ``pg_wal`` or from the archive; ``None``: neither has it, or does not answer.

    :raises JobCancelledError: the work was cancelled.
    """
    name = name_of(timeline)
    found = HistoryReader(instance.layout.wal_dir).of(timeline)  # of its own: that of the instance is the loop's
    if found is not None:
        return found
    place = instance.layout.state_dir / f"{_PLACE}.{name}"
    try:
        text = read_if_there(place) if _fetched(instance, job, name, own_restore_command(instance), place) else None
        return None if text is None else parse_history(timeline, text)
    except ValueError:
        return None
    finally:
        place.unlink(missing_ok=True)


def own_restore_command(instance: Instance) -> str:
    """Return the command that this node's own settings have: by its archive's programs, or a person's."""
    with instance.writing:
        found = instance.plan(NOBODY, standby=True, recovery={}).recovery.get("restore_command")
    return found or _NO_ARCHIVE


def is_in_archive(instance: Instance, job: JobHandle, name: str, restore_command: str) -> bool:
    """Fetch a file, and throw it away. An archive that does not answer now has not said that it has it.

    :raises JobCancelledError: the work was cancelled.
    """
    place = instance.layout.state_dir / _PLACE
    try:
        return _fetched(instance, job, name, restore_command, place)
    finally:
        place.unlink(missing_ok=True)


def _fetched(instance: Instance, job: JobHandle, name: str, restore_command: str, place: Path) -> bool:
    argv = ("/bin/sh", "-c", filled(restore_command, {"%f": name, "%p": str(place), "%r": name}))
    finished = job.run(argv, environment=instance.server_environment(), cwd=str(instance.layout.data_dir))
    return finished.exit_code == 0 and place.exists()
