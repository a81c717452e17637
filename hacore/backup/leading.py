"""What a leader has to do about the cluster's backups: which work is due, on which member, and which was abandoned. Pure."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from hacore.backup.choice import age, chain_of, leads_to, lies_ahead, of_cluster
from hacore.backup.policy import BackupPolicy, Prefer
from hacore.backup.retention import Expiry, Known, expiry
from hacore.backup.schedule import BACK_OFF_S, Attempt, Due, Waits, when
from hacore.interfaces import Backup, BackupKind, BackupState
from hacore.model.backups import BackupRecord, BackupResult, BackupTask, BackupWork, Doubt
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
        found = when(policy.schedule, now=now, done_at=_made_at(record, ours, now), attempt=_attempt(record, BackupWork.BACKUP, now))
        if isinstance(found, Due):
            return Wanted(work=BackupWork.BACKUP, reason=found.reason, kind=policy.kind)
    good = [one for one in ours if one.state is BackupState.OK]
    if policy.verify is not None and good:
        found = when(policy.verify, now=now, done_at=_verified_at(record, now), attempt=_attempt(record, BackupWork.VERIFY, now))
        if isinstance(found, Due):
            newest = max(good, key=lambda one: (not lies_ahead(one, now), age(one)))
            return Wanted(work=BackupWork.VERIFY, reason=found.reason, restores=True, backup=newest.id)
    expired = due_expiry(record, policy, backups, now=now, system_id=system_id, history=history)
    if expired is None or not expired.remove or _must_wait(record, now):
        return None
    return Wanted(work=BackupWork.EXPIRE, reason="retention", remove=tuple(one.id for one in expired.remove))


def kind_to_make(
    wanted: BackupKind, backups: Sequence[Backup], history: TimelineHistory | None, found_bad: Collection[str] = ()
) -> BackupKind:
    """Return how much is to be copied: all of it where nothing can be made of the newest backup.

    That leads elsewhere, as after a restore to an earlier point: an increment has what was changed after the position of what it is made
    of, and there the same positions are of other changes. Or it was found bad, or what it rests on: so would be all that rests on it.
    """
    good = [one for one in backups if one.state is BackupState.OK]
    newest = max(good, key=age, default=None)
    if newest is None:
        return wanted
    is_sound = leads_to(newest, history) and not any(link.id in found_bad for link in chain_of(newest, backups))
    return wanted if is_sound else BackupKind.FULL


def next_backup(
    record: BackupRecord, policy: BackupPolicy, backups: Sequence[Backup], *, now: datetime, history: TimelineHistory | None = None
) -> datetime | None:
    """Return when the next scheduled backup begins."""
    if policy.schedule is None:
        return None
    counted = [one for one in backups if leads_to(one, history)]
    found = when(policy.schedule, now=now, done_at=_made_at(record, counted, now), attempt=_attempt(record, BackupWork.BACKUP, now))
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
    known = Known(verified=verified, doubted=in_doubt(record, backups), history=history)
    return expiry(backups, policy.retention, now=now, system_id=system_id, known=known)


def in_doubt(record: BackupRecord, backups: Sequence[Backup]) -> frozenset[str]:
    """Return the ids of backups that may not be restorable, with those that rest on them.

    What lacks WAL alone is no doubt about what rests on it: that needs the files. A check that succeeded is of the whole chain.
    """
    doubted = {one.backup for one in record.doubts}
    broken = record.found_bad
    unseen = [one for one in backups if one.id not in {name for name, _ in record.verified}] if broken else []
    return frozenset(doubted | {one.id for one in unseen if any(link.id in broken for link in chain_of(one, backups))})


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
    ended = record.ended(result, None if task.made is None or task.made.backup is None else Doubt(backup=task.made.backup, is_unknown=True))
    if not is_final:
        return ended
    last = len(BACK_OFF_S) + 1
    results = tuple(replace(one, failures=max(one.failures, last)) if one.work is task.work else one for one in ended.results)
    return replace(ended, results=results)


def unplaced(record: BackupRecord, *, now: datetime, error: str) -> BackupRecord:
    """Return the record after no member was found for its task: a failure like another, but never given up: a standby may be back."""
    failed, most = abandoned(record, now=now, error=error), len(BACK_OFF_S)
    results = tuple(one if one in record.results else replace(one, failures=min(one.failures, most)) for one in failed.results)
    return replace(failed, results=results)


def summed_up(
    record: BackupRecord, backups: Sequence[Backup], system_id: str | None, settled: Collection[str] = (), *, now: datetime
) -> BackupRecord:  # fmt: skip
    """Return the record with what the tool's list says; a backup that lies ahead of now would hide for weeks that none is made.

    :param settled: ids of backups whose WAL the archive has by now.
    """
    there = {one.id for one in backups}
    doubts = tuple(one for one in record.doubts if one.backup in there and one.backup not in settled)
    doubted = in_doubt(replace(record, doubts=doubts), backups)
    good = [one for one in of_cluster(backups, system_id) if one.state is BackupState.OK and one.id not in doubted]
    ends = [one.stopped_at for one in good if one.stopped_at is not None and not lies_ahead(one, now)]
    return replace(
        record,
        doubts=doubts,
        newest_good=max(ends, default=None),
        window_start=min(ends, default=None),
        listed=len(ends),
        verified=tuple(one for one in record.verified if one[0] in there),
    )


def _is_fit(member: Member) -> bool:
    return member.is_hacore and member.is_running and member.role != "primary" and member.replication_state == "streaming"


def _newest(times: Iterable[datetime | None], now: datetime) -> datetime | None:
    """Return the newest of them. One that lies ahead is of a clock that was wrong, and proves nothing: for weeks nothing would be due."""
    return max((at for at in times if at is not None and at <= now), default=None)


def _attempt(record: BackupRecord, work: BackupWork, now: datetime) -> Attempt | None:
    result = record.result(work)
    ended_at = None if result is None else _newest((result.ended_at, result.asked_at), now)
    return None if result is None or ended_at is None else Attempt(ended_at=ended_at, failures=result.failures)


def _made_at(record: BackupRecord, backups: Sequence[Backup], now: datetime) -> datetime | None:
    """Return when the newest good backup of a list was begun, by the leader's clock where hacore made it: the tool's may be behind.

    One that succeeded, and that a check has found wanting since, was made all the same: a check that cannot work makes no backup due.
    """
    doubted, result = in_doubt(record, backups), record.result(BackupWork.BACKUP)
    good = [one for one in backups if one.state is BackupState.OK]
    times = [one.started_at or one.stopped_at for one in good if one.id not in doubted]
    if result is not None and (result.is_done or result.backup not in doubted):
        times += [result.asked_at for one in good if one.id == result.backup]
    return _newest(times, now)


def _verified_at(record: BackupRecord, now: datetime) -> datetime | None:
    result = record.result(BackupWork.VERIFY)
    asked_at = result.asked_at if result is not None and result.is_done else None
    return _newest((asked_at, *(at for _, at in record.verified)), now)


def _must_wait(record: BackupRecord, now: datetime) -> bool:
    """An expiry that failed is tried again after a while, for ever: what shall go takes room."""
    attempt = _attempt(record, BackupWork.EXPIRE, now)
    if attempt is None or attempt.failures == 0:
        return False
    pause_s = BACK_OFF_S[min(attempt.failures, len(BACK_OFF_S)) - 1]
    return now - attempt.ended_at < timedelta(seconds=pause_s)
