"""The WAL of a backup that was begun before this node led: a standby marks what it has streamed as archived, whether that is so or not."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from hacore.backup.choice import leads_to
from hacore.errors import HacoreError, PostgresUnreachableError
from hacore.interfaces import Backup
from hacore.model.backups import BackupResult, BackupTask
from hacore.model.clock import Clock, Instant
from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory
from hacore.postgres.archive_look import is_in_archive, segment_on_the_way, timeline_on_the_way
from hacore.postgres.instance import Instance
from hacore.postgres.job import limited
from hacore.postgres.wal_switch import archives, is_archived

_AGAIN_S: Final = 10.0  # each time a segment is fetched
_LOOK_S: Final = 60.0  # for one segment; a tool may hang


def last_of_others(history: TimelineHistory, start: Lsn | None, stop: Lsn | None, segment_bytes: int) -> str | None:
    """Return the last segment from ``start`` to ``stop`` that was not begun by the server of this history; ``None``: it has begun all.

    Its archiver keeps the order: where the archive has that one, it has those before.
    """
    if not history.switches:
        return None
    end = min(stop or history.switches[-1].switchpoint, history.switches[-1].switchpoint)
    for number in range((end - 1) // segment_bytes, (start or 0) // segment_bytes - 1, -1):
        if timeline_on_the_way(history, number, segment_bytes) != history.timeline:
            return segment_on_the_way(history, number, segment_bytes)
    return None


def last_of(history: TimelineHistory, start: Lsn | None, stop: Lsn, segment_bytes: int) -> tuple[str, ...]:
    """Return the last segment of a backup from ``start`` to ``stop``, with the last that was not begun by the server of this history."""
    end = segment_on_the_way(history, (stop - 1) // segment_bytes, segment_bytes)
    others = last_of_others(history, start, stop, segment_bytes)
    return (end,) if others in {None, end} else (end, str(others))


class EarlierWal:
    """For one backup, under one lease. Not thread-safe."""

    def __init__(self, instance: Instance, clock: Clock, listed: Callable[[], Sequence[Backup]]) -> None:
        self._instance, self._clock, self._listed = instance, clock, listed
        self._asked_at: Instant | None = None
        self._fault: HacoreError | None = None  # of the last question
        self.lacking: str | None = "what it needs of it"  # as far as is known: for people

    def is_there(self, task: BackupTask, made: BackupResult, token: int, history: TimelineHistory | None) -> bool:
        """Tell whether the archive has it. What cannot be asked is not there.

        :raises HacoreError: the tool or the server did not answer.
        """
        now = self._clock.now()
        if self.lacking is None:
            return True
        if self._asked_at is None or now - self._asked_at >= _AGAIN_S:
            self._asked_at, self._fault = now, None
            try:
                self.lacking = self._ask(task, made, token, history)
            except HacoreError as error:
                self._fault = error
        if self._fault is not None:
            raise self._fault  # until it is asked again nothing else is known
        return self.lacking is None

    def needed(self, task: BackupTask, made: BackupResult, token: int, history: TimelineHistory | None) -> str | None:
        """Return the segment that the archive must have; ``None``: this node has begun all that the backup needs.

        :raises HacoreError: it is not known.
        """
        backup = next((one for one in self._listed() if one.id == made.backup), None)
        if _is_own(backup, history, is_same_lease=task.token == token) or not archives(self._instance):
            return None
        if history is None:
            raise PostgresUnreachableError("the history of this server's timelines is not known")
        control = self._instance.control.read(self._instance.programs).control
        start, stop = (None, None) if backup is None else (backup.start_lsn, backup.stop_lsn)
        return last_of_others(history, start, stop, control.wal_segment_bytes)

    def _ask(self, task: BackupTask, made: BackupResult, token: int, history: TimelineHistory | None) -> str | None:
        name = self.needed(task, made, token, history)
        return None if name is None or _has(self._instance, name) else f"WAL {name}"


def is_kept(instance: Instance, name: str, history: TimelineHistory) -> bool:
    """Tell whether the archive has a segment: one of its own timeline a server has archived itself, any other is asked for.

    :raises HacoreError: the tool or the server did not answer.
    """
    if not name.startswith(f"{history.timeline:08X}"):
        return _has(instance, name)
    return archives(instance) and is_archived(instance, name)


def has_all_of(instance: Instance, backup: Backup, history: TimelineHistory, *, is_ended: bool) -> bool:
    """Tell whether the archive has the WAL of a backup, by what the tool's list tells of it.

    :param is_ended: else its last segment may still be written, of which a server has no mark: the archive itself is asked.
    :raises HacoreError: the tool or the server did not answer.
    """
    if backup.stop_lsn is None or not leads_to(backup, history):
        return False
    segment_bytes = instance.control.read(instance.programs).control.wal_segment_bytes
    names = last_of(history, backup.start_lsn, backup.stop_lsn, segment_bytes)
    return all(is_kept(instance, name, history) if is_ended else _has(instance, name) for name in names)


def _has(instance: Instance, name: str) -> bool:
    shim = instance.archiving.shim(instance.control.read(instance.programs).control)
    with suppress(OSError), limited(_LOOK_S, f"the archive does not answer whether it has {name}") as job:
        return shim is not None and is_in_archive(instance, job, name, shim.restore_command)
    return False


def _is_own(backup: Backup | None, history: TimelineHistory | None, *, is_same_lease: bool) -> bool:
    """Tell whether this node has written all of it; where its timeline is not known, the lease of the task tells."""
    if backup is None or backup.timeline is None or history is None:
        return is_same_lease
    return backup.timeline == history.timeline
