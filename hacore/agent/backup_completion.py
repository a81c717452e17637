"""The last part of a backup, on the leader: it counts once the WAL in which it ends is archived, for until then nobody can restore it.

On a standby ``pg_backup_stop`` switches no segment and waits for none, and not every tool waits on a primary. It knows no tool.
"""

from dataclasses import dataclass, replace
from typing import Final

from hacore.agent.backup_store import BackupStore
from hacore.model.backups import BackupRecord, BackupResult, BackupTask
from hacore.model.clock import Clock, Instant
from hacore.model.cluster import ClusterView
from hacore.postgres.instance import Instance
from hacore.postgres.wal_switch import ask_for_checkpoint, is_archived, switch_wal

ARCHIVE_S: Final = 600.0


@dataclass(slots=True)
class _Wait:
    """For one backup, under one lease: the segment of a leader before this one may be of another timeline."""

    task: str
    token: int
    since: Instant
    segment: str | None = None


class BackupCompletion:
    """Not thread-safe."""

    def __init__(self, *, store: BackupStore, instance: Instance, clock: Clock) -> None:
        self._store, self._instance, self._clock = store, instance, clock
        self._wait: _Wait | None = None

    def turn(self, task: BackupTask, made: BackupResult, token: int) -> None:
        """End the segment that a backup needs, and the task once it is archived, or has not been for too long.

        :raises HacoreError: the server or the store did not answer; the next turn tries again.
        """
        now = self._clock.now()
        if self._wait is None or (self._wait.task, self._wait.token) != (task.id, token):
            self._wait = _Wait(task=task.id, token=token, since=now)
        wait, is_late = self._wait, now - self._wait.since > ARCHIVE_S
        if wait.segment is None and not is_late:
            wait.segment = switch_wal(self._instance, f"hacore backup {made.backup}")
            ask_for_checkpoint(self._instance)
        if wait.segment is not None and is_archived(self._instance, wait.segment):
            self._end(task, replace(made, ended_at=self._clock.wall()))
        elif is_late:
            self._end(task, replace(made, ended_at=self._clock.wall(), error=self._missing(made, wait)))

    def _end(self, task: BackupTask, result: BackupResult) -> None:
        def ended(record: BackupRecord, _: ClusterView) -> BackupRecord | None:
            return record.ended(result) if record.task is not None and record.task.id == task.id else None

        self._store.change(ended, as_leader=True)

    def _missing(self, made: BackupResult, wait: _Wait) -> str:
        state = self._instance.archiving.state
        why = f": {state.fault}" if state is not None and state.fault else ""
        what = "its last WAL segment could not be ended" if wait.segment is None else f"WAL {wait.segment} is not archived"
        return f"{made.backup} is made, but cannot be restored yet: {what} after {ARCHIVE_S:g} s{why}"
