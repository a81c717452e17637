"""Which backups may go: three numbers together, and what must never happen whatever they say (integrations reference 5)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from typing import Final

from hacore.backup.choice import age, leads_to, lies_ahead
from hacore.interfaces import Backup, BackupKind, BackupState
from hacore.model.timeline import TimelineHistory

LAST_GOOD = "the last good one"
PARENT = "another one rests on it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What must stay. A backup goes when neither number needs it, and it is older than ``max_age_s``."""

    min_count: int = 2  # good full backups
    min_age_s: float = 0.0  # the recovery window: every point in it stays within reach
    max_age_s: float = 0.0  # what the two do not need stays until it is so old


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of backups beside the tool's list.

    ``verified``: ids that were checked and found good; with it one goes only after a newer one was. ``None``: good is enough.
    ``doubted``: ids that may not be restorable: they stand for no other one, and are kept like good ones, so that a doubt removes nothing.
    ``history``: of the leader; a backup that does not lead to it, as after a restore to an earlier point, stands for no other one.
    ``None``: not known, all of them count.
    """

    verified: Collection[str] | None = None
    doubted: Collection[str] = ()
    history: TimelineHistory | None = None


_NOTHING_ELSE: Final = Known()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """What goes, oldest first, and what stays with the reason."""

    remove: tuple[Backup, ...] = ()
    keep: tuple[tuple[Backup, str], ...] = ()


def expiry(
    backups: Sequence[Backup], retention: Retention, *, now: datetime, system_id: str | None, known: Known = _NOTHING_ELSE
) -> Expiry:  # fmt: skip
    """Choose. Pass a list that was read, never one that stands for "could not be read".

    Ages are counted back from the newest good backup that does not lie ahead of ``now``, and by :func:`_ages`: neither a clock that runs
    ahead, nor weeks without a backup, nor the first one that is made by that clock or after those weeks, make anything old.

    :param system_id: whose backups these are; those of other clusters stay. ``None``: not known, nothing goes.
    """
    ordered = sorted(backups, key=lambda one: age(one)[0])
    reasons = {one.id: _reason_of_its_own(one, now, system_id) for one in ordered}
    good = [one for one in ordered if one.state is BackupState.OK and reasons[one.id] is None]
    leading = [one for one in good if leads_to(one, known.history)]
    proven = [one for one in leading if one.id not in known.doubted]
    ages = _ages(good, proven[-1] if proven else None)
    for counted in (leading, proven):
        _note_needed(reasons, counted, retention, ages)
    for last in proven[-1:]:
        reasons[last.id] = LAST_GOOD
    _note_young(reasons, good, retention, ages)
    _note_without_successor(reasons, proven, ordered, known.verified)
    _note_parents(reasons, ordered)
    remove = tuple(one for one in ordered if reasons[one.id] is None)
    return Expiry(remove=remove, keep=tuple((one, reason) for one in ordered if (reason := reasons[one.id]) is not None))


def _ended(backup: Backup) -> datetime | None:
    return backup.stopped_at or backup.started_at


def _ages(good: Sequence[Backup], newest: Backup | None) -> dict[str, float]:
    """Return by id how many seconds before the newest each was made; of the gaps between two the longest counts as the second longest.

    So one gap makes nothing old, however long: a clock may have jumped, or nothing was made for weeks. A second one says that it is usual.
    """
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(filter(None, map(_ended, good)))]
    second_s = sorted(gaps)[-2] if len(gaps) > 1 else 0.0
    passed = dict(zip((one.id for one in good), accumulate((min(gap, second_s) for gap in gaps), initial=0.0), strict=False))
    end = passed[newest.id] if newest is not None else 0.0
    return {one: max(end - at, 0.0) for one, at in passed.items()}


def _reason_of_its_own(backup: Backup, now: datetime, system_id: str | None) -> str | None:
    if system_id is None or backup.system_id not in {None, system_id}:
        return "it is another cluster's, or nobody knows whose"
    if backup.is_locked:
        return "a person has locked it"
    if backup.state is BackupState.RUNNING:
        return "it runs"
    ended = _ended(backup)
    if ended is None:
        return "its age is not known"
    if lies_ahead(backup, now):
        return "it is of a clock that ran ahead"
    if backup.state is BackupState.FAILED and now - ended < timedelta(days=1):
        return "it failed less than a day ago"
    return None


def _note_needed(reasons: dict[str, str | None], good: Sequence[Backup], retention: Retention, ages: Mapping[str, float]) -> None:
    full = [one for one in good if one.kind is BackupKind.FULL]
    for one in full[-retention.min_count :] if retention.min_count else ():
        reasons[one.id] = f"one of the {retention.min_count} newest full ones (min_count)"
    before = [one for one in good if ages[one.id] >= retention.min_age_s]
    if retention.min_age_s and before:
        reasons[before[-1].id] = reasons[before[-1].id] or "the recovery window begins with it (min_age)"


def _note_young(reasons: dict[str, str | None], backups: Sequence[Backup], retention: Retention, ages: Mapping[str, float]) -> None:
    for one in backups:
        if reasons[one.id] is not None:
            continue
        if ages[one.id] < retention.min_age_s:
            reasons[one.id] = "it lies in the recovery window (min_age)"
        elif ages[one.id] < retention.max_age_s:
            reasons[one.id] = "it is not old enough yet (max_age)"


def _note_without_successor(
    reasons: dict[str, str | None], good: Sequence[Backup], ordered: Sequence[Backup], verified: Collection[str] | None
) -> None:
    """Nothing goes before something newer is there, and where it is asked for, was verified."""
    successors = [one for one in good if verified is None or one.id in verified]
    newest = _ended(successors[-1]) if successors else None
    what = "good" if verified is None else "verified"
    for one in ordered:
        ended = _ended(one)
        if reasons[one.id] is None and (newest is None or ended is None or ended >= newest):
            reasons[one.id] = f"there is no newer {what} one"


def _note_parents(reasons: dict[str, str | None], ordered: Sequence[Backup]) -> None:
    known = {one.id: one for one in ordered}
    for one in ordered:
        child: Backup | None = one
        while child is not None and reasons[child.id] is not None and child.parent in known:
            reasons[child.parent] = reasons[child.parent] or PARENT
            parent = known[child.parent]
            child = parent if parent.id != one.id else None
