"""What a leader has to do about the cluster's backups: which work is due, on which member, and which was abandoned. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from hacore.backup.choice import age, leads_to, of_cluster
from hacore.backup.policy import BackupPolicy, Prefer
from hacore.backup.retention import Expiry, expiry
from hacore.backup.schedule import BACK_OFF_S, Attempt, Due, Waits, newest_good, when
from hacore.interfaces import Backup, BackupKind, BackupState
from hacore.model.backups import BackupRecord, BackupResult, BackupTask, BackupWork
from hacore.model.cluster import ClusterView, Member
from hacore.model.timeline import TimelineHistory

TAKE_S: Final = 30.0  # a member that does not take its task in this time is passed over
LOST_S: Final = 300.0  # a member that has not reached the store for so long gives its work up ...
DEAD_S: Final = 360.0  # ... before the leader counts it as dead: never two at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Work to begin."""

    work: BackupWork
    reason: str
    kind: BackupKind = BackupKind.AUTO
    backup: str | None = None
    restores: bool = False
    remove: tuple[str, ...] = ()
    is_pinned: bool = False  # to the member that a person has named


def due_work(
    record: BackupRecord,
    policy: BackupPolicy,
    backups: Sequence[Backup],
    *,
    now: datetime,
    system_id: str | None,
    history: TimelineHistory | None = None,
) -> Wanted | None:
    """Return what is to be begun now, from the tool's own list and how the last attempts ended.

    :param history: of the leader: a backup that does not lead to where it is counts for nothing.
    """
    ours = [one for one in of_cluster(backups, system_id) if leads_to(one, history)]
    if policy.schedule is not None:
        found = when(policy.schedule, now=now, done_at=newest_good(ours), attempt=_attempt(record, BackupWork.BACKUP))
        if isinstance(found, Due):
            return Wanted(work=BackupWork.BACKUP, reason=found.reason, kind=policy.kind)
    good = [one for one in ours if one.state is BackupState.OK]
    if policy.verify is not None and good:
        verified_at = max((at for _, at in record.verified), default=None)
        found = when(policy.verify, now=now, done_at=verified_at, attempt=_attempt(record, BackupWork.VERIFY))
        if isinstance(found, Due):
            return Wanted(work=BackupWork.VERIFY, reason=found.reason, restores=True)
    expired = due_expiry(record, policy, backups, now=now, system_id=system_id, history=history)
    if expired is None or not expired.remove or _must_wait(record, now):
        return None
    return Wanted(work=BackupWork.EXPIRE, reason="retention", remove=tuple(one.id for one in expired.remove))


def kind_to_make(wanted: BackupKind, backups: Sequence[Backup], history: TimelineHistory | None) -> BackupKind:
    """Return how much is to be copied: all of it where the newest backup leads elsewhere, as after a restore to an earlier point.

    An increment has what was changed after the position of what it is made of; there the same positions are of other changes.
    """
    good = [one for one in backups if one.state is BackupState.OK]
    newest = max(good, key=age, default=None)
    return wanted if newest is None or leads_to(newest, history) else BackupKind.FULL


def next_backup(
    record: BackupRecord, policy: BackupPolicy, backups: Sequence[Backup], *, now: datetime, history: TimelineHistory | None = None
) -> datetime | None:
    """Return when the next scheduled backup begins."""
    if policy.schedule is None:
        return None
    counted = [one for one in backups if leads_to(one, history)]
    found = when(policy.schedule, now=now, done_at=newest_good(counted), attempt=_attempt(record, BackupWork.BACKUP))
    return found.until if isinstance(found, Waits) else now if isinstance(found, Due) else None


def due_expiry(
    record: BackupRecord,
    policy: BackupPolicy,
    backups: Sequence[Backup],
    *,
    now: datetime,
    system_id: str | None,
    history: TimelineHistory | None = None,
) -> Expiry | None:
    """Return what the retention says; where backups are verified by a schedule, nothing goes before a newer one was."""
    if policy.retention is None:
        return None
    verified = None if policy.verify is None else {name for name, _ in record.verified}
    return expiry(backups, policy.retention, now=now, system_id=system_id, verified=verified, history=history)


def places(view: ClusterView, prefer: Prefer, tried: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the members that may work, the best first: streaming standbys (tagged ``clonefrom`` first, then by position), the leader."""
    leader = view.lock.holder if view.lock else None
    standbys = [one for one in view.members if one.name != leader and _is_fit(one)]
    standbys.sort(key=lambda one: (not one.tags.clonefrom, -(one.lsn or 0), one.name))
    names = [one.name for one in standbys]
    match prefer:
        case Prefer.PRIMARY:
            names = [leader] if leader is not None else []
        case Prefer.STANDBY if leader is not None:
            names.append(leader)
        case _:
            pass
    return tuple(name for name in names if name not in tried)


def begun(record: BackupRecord, wanted: Wanted, *, task_id: str, member: str, token: int, now: datetime) -> BackupRecord:
    """Return the record with the work given to a member."""
    task = BackupTask(
        id=task_id,
        work=wanted.work,
        member=member,
        token=token,
        asked_at=now,
        reason=wanted.reason,
        kind=str(wanted.kind),
        backup=wanted.backup,
        restores=wanted.restores,
        remove=wanted.remove,
        is_pinned=wanted.is_pinned,
    )
    return replace(record, task=task)


def passed_on(record: BackupRecord, view: ClusterView, prefer: Prefer, *, token: int, now: datetime) -> BackupRecord:
    """Return the record after the member in it has not taken its task: given to the next one, or failed."""
    task = record.task
    if task is None:
        return record
    tried = (*task.tried, task.member)
    others = () if task.is_pinned else places(view, prefer, tried)
    if others:
        return replace(record, task=replace(task, member=others[0], token=token, tried=tried, beat=task.beat + 1))
    return abandoned(record, now=now, error=f"none of {', '.join(tried)} took it" if task.tried else f"{task.member} did not take it")


def abandoned(record: BackupRecord, *, now: datetime, error: str, is_final: bool = False) -> BackupRecord:
    """Return the record after its task has failed. ``is_final``: a person's wish, which is not tried again."""
    task = record.task
    if task is None:
        return record
    backup = task.made.backup if task.made is not None else task.backup
    result = BackupResult(id=task.id, work=task.work, member=task.member, began_at=task.asked_at, ended_at=now, error=error, backup=backup)
    ended = record.ended(result)
    if not is_final:
        return ended
    last = len(BACK_OFF_S) + 1
    results = tuple(replace(one, failures=max(one.failures, last)) if one.work is task.work else one for one in ended.results)
    return replace(ended, results=results)


def summed_up(record: BackupRecord, backups: Sequence[Backup], system_id: str | None) -> BackupRecord:
    """Return the record with what the tool's list says."""
    ends = [one.stopped_at for one in of_cluster(backups, system_id) if one.state is BackupState.OK and one.stopped_at is not None]
    there = {one.id for one in backups}
    return replace(
        record,
        newest_good=max(ends, default=None),
        window_start=min(ends, default=None),
        listed=len(ends),
        verified=tuple(one for one in record.verified if one[0] in there),
    )


def _is_fit(member: Member) -> bool:
    return member.is_hacore and member.is_running and member.role != "primary" and member.replication_state == "streaming"


def _attempt(record: BackupRecord, work: BackupWork) -> Attempt | None:
    result = record.result(work)
    return None if result is None else Attempt(ended_at=result.ended_at, failures=result.failures)


def _must_wait(record: BackupRecord, now: datetime) -> bool:
    """An expiry that failed is tried again after a while, for ever: what shall go takes room."""
    result = record.result(BackupWork.EXPIRE)
    if result is None or result.failures == 0:
        return False
    pause_s = BACK_OFF_S[min(result.failures, len(BACK_OFF_S)) - 1]
    return now - result.ended_at < timedelta(seconds=pause_s)
