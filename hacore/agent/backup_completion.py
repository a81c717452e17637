"""The last part of a backup, on the leader: it counts once the WAL in which it ends is archived, for until then nobody can restore it.

On a standby ``pg_backup_stop`` switches no segment and waits for none, and not every tool waits on a primary. It knows no tool.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from hacore.agent.backup_store import BackupStore
from hacore.agent.earlier_wal import EarlierWal, has_all_of, is_kept
from hacore.errors import HacoreError
from hacore.interfaces import Backup
from hacore.model.backups import BackupRecord, BackupResult, BackupTask, Doubt
from hacore.model.clock import Clock, Instant
from hacore.model.cluster import ClusterView
from hacore.model.timeline import TimelineHistory
from hacore.postgres.instance import Instance
from hacore.postgres.wal_switch import ask_for_checkpoint, is_archived, switch_wal

ARCHIVE_S: Final = 600.0


@dataclass(slots=True)
class _Wait:
    """For one backup, under one lease: the segment of a leader before this one may be of another timeline."""

    task: str
    token: int
    since: Instant
    earlier: EarlierWal
    segment: str | None = None


class BackupCompletion:
    """Not thread-safe."""

    def __init__(self, *, store: BackupStore, instance: Instance, clock: Clock, listed: Callable[[], Sequence[Backup]]) -> None:
        self._store, self._instance, self._clock, self._listed = store, instance, clock, listed
        self._wait: _Wait | None = None

    def turn(self, task: BackupTask, made: BackupResult, token: int, history: TimelineHistory | None) -> None:
        """End the segment that a backup needs, and the task once it is archived, or has not been for too long.

        :param history: of this node's server.
        :raises HacoreError: the server or the store did not answer; the next turn tries again.
        """
        now = self._clock.now()
        if self._wait is None or (self._wait.task, self._wait.token) != (task.id, token):
            self._wait = _Wait(task=task.id, token=token, since=now, earlier=EarlierWal(self._instance, self._clock, self._listed))
        wait, is_late = self._wait, now - self._wait.since > ARCHIVE_S
        if wait.segment is None and not is_late:
            wait.segment = switch_wal(self._instance, f"hacore backup {made.backup}")
            ask_for_checkpoint(self._instance)
        try:
            lacking = self._lacking(wait, task, made, token, history)
        except HacoreError as error:
            if not is_late:
                raise
            lacking = f"{made.backup} is made, but whether it can be restored is not known after {ARCHIVE_S:g} s: {error}"
        if lacking is None:
            self._end(task, replace(made, ended_at=self._clock.wall()))
        elif is_late:
            doubt = None if made.backup is None else self._doubt(made.backup, wait, task, made, token, history)
            self._end(task, replace(made, ended_at=self._clock.wall(), error=lacking), doubt)

    def settled(self, doubts: Sequence[Doubt], backups: Sequence[Backup], history: TimelineHistory | None) -> frozenset[str]:
        """Return the ids of backups of a list whose WAL the archive has by now; what cannot be asked is not there."""
        if history is None:
            return frozenset()
        named = {one.backup: one for one in doubts if not one.is_found_bad}
        return frozenset(one.id for one in backups if one.id in named and self._has_all(named[one.id], one, history))

    def _has_all(self, doubt: Doubt, backup: Backup, history: TimelineHistory) -> bool:
        with suppress(HacoreError):
            known = all(is_kept(self._instance, name, history) for name in doubt.lacks)
            return known and (not doubt.is_unknown or has_all_of(self._instance, backup, history, is_ended=bool(doubt.lacks)))
        return False

    def _doubt(self, backup: str, wait: _Wait, task: BackupTask, made: BackupResult, token: int, history: TimelineHistory | None) -> Doubt:
        """Return what shows that it can be restored, once the archive has it, as far as that is known."""
        if wait.segment is None:
            return Doubt(backup=backup, is_unknown=True)
        with suppress(HacoreError):
            earlier = wait.earlier.needed(task, made, token, history)
            return Doubt(backup=backup, lacks=(wait.segment,) if earlier is None else (wait.segment, earlier))
        return Doubt(backup=backup, lacks=(wait.segment,), is_unknown=True)

    def _end(self, task: BackupTask, result: BackupResult, doubt: Doubt | None = None) -> None:
        def ended(record: BackupRecord, _: ClusterView) -> BackupRecord | None:
            return record.ended(result, doubt) if record.task is not None and record.task.id == task.id else None

        self._store.change(ended, as_leader=True)

    def _lacking(self, wait: _Wait, task: BackupTask, made: BackupResult, token: int, history: TimelineHistory | None) -> str | None:
        """Return what is not in the archive, for people; ``None``: it has everything.

        :raises HacoreError: the server or the tool did not answer.
        """
        if wait.segment is not None and is_archived(self._instance, wait.segment):
            if wait.earlier.is_there(task, made, token, history):
                return None
            needs = f"whether the archive has {wait.earlier.lacking} cannot be known"
            return f"{made.backup} was made before a failover: {needs} after {ARCHIVE_S:g} s; verify it by restoring, or make another"
        state = self._instance.archiving.state
        why = f": {state.fault}" if state is not None and state.fault else ""
        what = "its last WAL segment could not be ended" if wait.segment is None else f"WAL {wait.segment} is not archived"
        return f"{made.backup} is made, but cannot be restored yet: {what} after {ARCHIVE_S:g} s{why}"
