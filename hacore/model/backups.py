"""What stands in the store about the cluster's backups: the one piece of work that may go on, and how the last of each kind ended."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class BackupWork(StrEnum):
    """Work on the repository. Never two at once in a cluster, of whatever kind."""

    BACKUP = "backup"
    VERIFY = "verify"
    EXPIRE = "expire"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupResult:
    """How a task ended. ``failures`` in a row of its kind of work, this one included; 0: it was done."""

    id: str
    work: BackupWork
    member: str
    began_at: datetime
    ended_at: datetime
    error: str | None = None
    detail: str = ""
    backup: str | None = None
    failures: int = 0

    @property
    def is_done(self) -> bool:
        """Tell whether it came to its end."""
        return self.error is None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupTask:
    """Work that a leader has given to a member, under its fencing token. ``taken``: the member works on it.

    ``made``: a backup as the member has made it; it counts once the leader has seen the WAL of its end archived.
    """

    id: str
    work: BackupWork
    member: str
    token: int
    asked_at: datetime
    reason: str = ""
    kind: str = "auto"  # of a backup
    backup: str | None = None  # id of the backup to verify; ``None``: the newest good one
    restores: bool = False  # verify by restoring and starting it
    remove: tuple[str, ...] = ()  # ids to expire
    taken: bool = False
    beat: int = 0  # grows while the member works
    progress: str = ""
    tried: tuple[str, ...] = ()  # members that did not take it
    made: BackupResult | None = None
    is_pinned: bool = False  # a person has named the member: no other one takes its place


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRecord:
    """The whole record."""

    task: BackupTask | None = None
    results: tuple[BackupResult, ...] = ()  # the newest of each kind of work
    verified: tuple[tuple[str, datetime], ...] = ()  # backups that were found good, and when
    newest_good: datetime | None = None  # end of the newest good backup, as a leader last read it from the tool
    window_start: datetime | None = None  # end of the oldest good one: the first time that can be recovered to
    listed: int | None = None  # how many good ones there were

    def result(self, work: BackupWork) -> BackupResult | None:
        """Return how work of this kind ended last."""
        return next((one for one in self.results if one.work is work), None)

    def reported(self, result: BackupResult) -> "BackupRecord":
        """Return the record after the member has told how its part of the task in it has ended."""
        if self.task is None or result.work is not BackupWork.BACKUP or not result.is_done:
            return self.ended(result)
        return replace(
            self, task=replace(self.task, made=result, progress=f"{result.backup} is made, the WAL of its end is not archived yet")
        )

    def ended(self, result: BackupResult) -> "BackupRecord":
        """Return the record after the task in it has ended like this."""
        before = self.result(result.work)
        failures = 0 if result.is_done else 1 + (before.failures if before is not None else 0)
        others = tuple(one for one in self.results if one.work is not result.work)
        verified = self.verified
        if result.work is BackupWork.VERIFY and result.backup is not None:
            verified = tuple(one for one in verified if one[0] != result.backup)
            verified += ((result.backup, result.ended_at),) if result.is_done else ()
        return replace(self, task=None, results=(*others, replace(result, failures=failures)), verified=verified)
