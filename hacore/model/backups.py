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
    """How a task ended. ``failures`` in a row of its kind of work, this one included; 0: it was done.

    ``asked_at``: when the task was given out, by the leader's clock, to which schedules are held; the two others are by the member's.
    """

    id: str
    work: BackupWork
    member: str
    began_at: datetime
    ended_at: datetime
    error: str | None = None
    detail: str = ""
    backup: str | None = None
    failures: int = 0
    asked_at: datetime | None = None  # ``None``: noted by an agent before this field
    is_found_bad: bool = False  # the backup itself was looked at, and is no good: a check that could not be made says nothing of it
    may_lack_wal: bool = False  # it did not start, and the archive did not have all its WAL: that may be on its way

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
class Doubt:
    """A backup that may not be restorable, whatever the tool's list calls it. ``lacks``: WAL that the archive did not have.

    ``is_unknown``: what else it needs was not found out; the tool's list may tell. It is settled once the archive has all of that, or by a
    check that restores it; by such a check alone where neither says anything: it was found bad.
    """

    backup: str
    lacks: tuple[str, ...] = ()
    is_unknown: bool = False

    @property
    def is_found_bad(self) -> bool:
        """Tell whether it is about the backup's files, on which others may rest, and not about WAL."""
        return not self.lacks and not self.is_unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRecord:
    """The whole record."""

    task: BackupTask | None = None
    results: tuple[BackupResult, ...] = ()  # the newest of each kind of work
    verified: tuple[tuple[str, datetime], ...] = ()  # backups that were found good, and when
    doubts: tuple[Doubt, ...] = ()
    newest_good: datetime | None = None  # end of the newest good backup, as a leader last read it from the tool
    window_start: datetime | None = None  # end of the oldest good one: the first time that can be recovered to
    listed: int | None = None  # how many good ones there were

    @property
    def found_bad(self) -> frozenset[str]:
        """The backups whose files a check has found bad, with all that may rest on them."""
        return frozenset(one.backup for one in self.doubts if one.is_found_bad)

    def result(self, work: BackupWork) -> BackupResult | None:
        """Return how work of this kind ended last."""
        return next((one for one in self.results if one.work is work), None)

    def reported(self, result: BackupResult) -> "BackupRecord":
        """Return the record after the member has told how its part of the task in it has ended."""
        if self.task is None or result.work is not BackupWork.BACKUP or not result.is_done:
            return self.ended(result, self._doubt_of(result))
        return replace(
            self, task=replace(self.task, made=result, progress=f"{result.backup} is made, the WAL of its end is not archived yet")
        )

    def ended(self, result: BackupResult, doubt: Doubt | None = None) -> "BackupRecord":
        """Return the record after the task in it has ended like this.

        :param doubt: what that leaves of its backup.
        """
        before = self.result(result.work)
        failures = 0 if result.is_done else 1 + (before.failures if before is not None else 0)
        others = tuple(one for one in self.results if one.work is not result.work)
        verified = self.verified
        if result.work is BackupWork.VERIFY and result.backup is not None and (result.is_done or result.is_found_bad):
            verified = tuple(one for one in verified if one[0] != result.backup)
            verified += ((result.backup, result.ended_at),) if result.is_done else ()
        asked_at = result.asked_at if self.task is None else self.task.asked_at
        return replace(
            self,
            task=None,
            results=(*others, replace(result, failures=failures, asked_at=asked_at)),
            verified=verified,
            doubts=self._doubts_after(result, doubt),
        )

    def _doubt_of(self, result: BackupResult) -> Doubt | None:
        """Return what a member has left of its backup; that it may lack WAL is no news of one in doubt."""
        if result.backup is None or not (result.is_found_bad or result.may_lack_wal):
            return None
        if result.is_found_bad:
            return Doubt(backup=result.backup)
        known = next((one for one in self.doubts if one.backup == result.backup), None)
        return known or Doubt(backup=result.backup, is_unknown=True)

    def _doubts_after(self, result: BackupResult, doubt: Doubt | None) -> tuple[Doubt, ...]:
        """A check that restores nothing may find the files whole, and no WAL with them."""
        settles = result.is_done and (result.work is BackupWork.BACKUP or (self.task is not None and self.task.restores))
        if doubt is None and not settles:
            return self.doubts
        others = tuple(one for one in self.doubts if one.backup != result.backup)
        return others if doubt is None else (*others, doubt)
