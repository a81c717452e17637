"""Which segments lie on the way of a history, and whether the archive has one: asked by the ``restore_command``, as PostgreSQL does."""

from typing import Final

from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory
from hacore.postgres.instance import Instance
from hacore.postgres.job import JobHandle
from hacore.postgres.marks import filled
from hacore.postgres.wal_end import Start, segment_of

_PLACE: Final = "wal.looked-for"  # below the state directory


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


def is_in_archive(instance: Instance, job: JobHandle, name: str, restore_command: str) -> bool:
    """Fetch a file, and throw it away. An archive that does not answer now has not said that it has it.

    :raises JobCancelledError: the work was cancelled.
    """
    place = instance.layout.state_dir / _PLACE
    argv = ("/bin/sh", "-c", filled(restore_command, {"%f": name, "%p": str(place), "%r": name}))
    try:
        finished = job.run(argv, environment=instance.server_environment(), cwd=str(instance.layout.data_dir))
        return finished.exit_code == 0 and place.exists()
    finally:
        place.unlink(missing_ok=True)
