"""Histories from an archive: the newest, where PostgreSQL stops looking at the first number that is missing, and one by its number."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hacore.errors import DataDirectoryError
from hacore.interfaces import ArchiveSettings, Backup
from hacore.model.timeline import TimelineHistory
from hacore.postgres.archive_scripts import ShimPlace
from hacore.postgres.archive_shim import restore_command_for
from hacore.postgres.files import read_if_there
from hacore.postgres.history import FIRST, name_of, parse_history
from hacore.postgres.instance import Instance
from hacore.postgres.job import JobHandle
from hacore.postgres.marks import filled

_SKIPPED: Final = 8  # numbers that were claimed in a row and never begun: of restores and promotions that failed
_PLACE: Final = "archive.asked"  # below the state directory


def newest_history(instance: Instance, settings: ArchiveSettings, backups: Sequence[Backup], job: JobHandle) -> TimelineHistory | None:
    """Return the history of the newest timeline that the archive has one of; ``None``: no backup tells where to begin.

    :raises DataDirectoryError: the archive does not answer, or what it has is no history.
    """
    timelines = [one.timeline for one in backups if one.timeline is not None]
    if not timelines:
        return None
    newest = TimelineHistory(timeline=FIRST)
    number = max(timelines)
    while number <= max(newest.timeline, *timelines) + _SKIPPED:
        job.progress(f"asks the archive for {name_of(number)}")
        text = _fetched(instance, settings, name_of(number), job)
        if text is not None:
            newest = _read(number, text)
        number += 1
    return newest if newest.timeline >= max(timelines) else None


def history_of(instance: Instance, settings: ArchiveSettings, timeline: int, job: JobHandle) -> TimelineHistory | None:
    """Return the history of a timeline that a person has named; ``None``: the archive has none.

    :raises DataDirectoryError: the archive does not answer, or what it has is no history.
    """
    if timeline == FIRST:
        return TimelineHistory(timeline=FIRST)
    job.progress(f"asks the archive for {name_of(timeline)}")
    text = _fetched(instance, settings, name_of(timeline), job)
    return None if text is None else _read(timeline, text)


def _read(number: int, text: str) -> TimelineHistory:
    try:
        return parse_history(number, text)
    except ValueError as error:
        raise DataDirectoryError(f"the archive: {error}") from error


def _fetched(instance: Instance, settings: ArchiveSettings, name: str, job: JobHandle) -> str | None:
    """Return the text of a file, ``None`` where the archive has none. An archive that does not answer is tried again, as in a restore."""
    place = instance.layout.state_dir / _PLACE
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    (place / "recovery.signal").touch()  # so the programs know that "broken" is not "missing"
    command = restore_command_for(settings, ShimPlace(directory=place, data_dir=place))
    found: Path = place / "found"
    found.unlink(missing_ok=True)
    argv = ("/bin/sh", "-c", filled(command, {"%f": name, "%p": str(found)}))
    finished = job.run(argv, environment=instance.server_environment(), cwd=str(place))
    if finished.exit_code not in {0, 1}:
        raise DataDirectoryError(f"the archive does not say whether it has {name}: {finished.output.strip()[-300:]}")
    return read_if_there(found) if finished.exit_code == 0 else None
