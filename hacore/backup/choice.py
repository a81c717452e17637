"""Which backup a recovery begins with: the newest that was done before the target, on the way to its timeline."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from hacore.interfaces import Backup, BackupState
from hacore.model.lsn import Lsn
from hacore.model.recovery import CURRENT_TIMELINE, LATEST_TIMELINE, RecoveryTarget, TargetKind
from hacore.model.timeline import TimelineHistory


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The backup to begin with. ``remarks``: what could not be made sure.

    ``room_bytes``: what it writes at most with everything that it rests on; ``None``: the tool does not tell.
    """

    backup: Backup
    room_bytes: int | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoneFits:
    """No backup leads to the target."""

    reason: str
    earliest_time: datetime | None = None  # the first target that some backup leads to
    earliest_lsn: Lsn | None = None

    def __str__(self) -> str:
        if self.earliest_time is None:
            return self.reason
        position = f", position {self.earliest_lsn}" if self.earliest_lsn is not None else ""
        return f"{self.reason}; the earliest possible target is {self.earliest_time.isoformat()}{position}"


def choose(  # noqa: PLR0913 - each is a wish of its own, and all but two have a default
    backups: Sequence[Backup],
    target: RecoveryTarget,
    *,
    history: TimelineHistory | None = None,
    named: str | None = None,
    system_id: str | None = None,
    now: datetime | None = None,
    doubted: Collection[str] = (),
) -> Chosen | NoneFits:
    """Choose.

    :param history: of the newest timeline known; ``None``: not known, then backups of every timeline count.
    :param named: the backup that a person wants.
    :param system_id: whose backups count; ``None``: anybody's.
    :param now: refuses targets that have yet to come.
    :param doubted: ids of those that may not be restorable: one is taken where it is named, or where no other leads to the target.
    """
    ours = of_cluster(backups, system_id)
    usable = sorted((one for one in ours if _is_usable(one, ours) and _is_on_the_way(one, target, history)), key=age)
    if not usable:
        foreign = f", {len(backups) - len(ours)} are of another cluster" if len(ours) < len(backups) else ""
        return NoneFits(reason=f"there is no good backup for timeline {target.timeline} among {len(backups)}{foreign}")
    if named is not None and all(one.id != named for one in usable):
        why = "is not a good one on the way to the target's timeline" if any(one.id == named for one in backups) else "is not in the list"
        return NoneFits(reason=f"backup {named} {why}", earliest_time=usable[0].stopped_at, earliest_lsn=usable[0].stop_lsn)
    if now is not None and target.time is not None and target.time > now:
        return NoneFits(reason=f"{target} has yet to come")
    before = [one for one in usable if (named is None or one.id == named) and _ends_before(one, target)]
    if not before:
        reason = f"no good backup was done before {target}" if named is None else f"backup {named} was not done before {target}"
        first = next((one for one in usable if one.stopped_at is not None), None)
        return NoneFits(reason=reason, earliest_time=first.stopped_at if first else None, earliest_lsn=first.stop_lsn if first else None)
    if named is None and target.kind in {TargetKind.XID, TargetKind.NAME} and len(before) > 1:
        return NoneFits(
            reason=f"nobody can tell which of {len(before)} backups was done before {target}: name one", earliest_time=usable[0].stopped_at
        )
    newest = next((one for one in reversed(before) if one.id not in doubted), before[-1])
    remarks = (*_doubt(newest, doubted), *_remarks(newest, target, history))
    return Chosen(backup=newest, room_bytes=room_bytes(newest, ours), remarks=remarks)


def of_cluster(backups: Iterable[Backup], system_id: str | None) -> list[Backup]:
    """Return those of a cluster; what the tool does not tell speaks for it. ``None``: anybody's."""
    return [one for one in backups if system_id is None or one.system_id in {None, system_id}]


def age(backup: Backup) -> tuple[float, int]:
    """Order from the oldest to the newest; one without a time comes first."""
    stopped = backup.stopped_at or backup.started_at
    return (stopped.timestamp() if stopped is not None else 0.0, backup.stop_lsn or 0)


def lies_ahead(backup: Backup, now: datetime) -> bool:
    """Tell whether it says to be made after now: a clock ran ahead, and until then it is no measure of anything."""
    ended = backup.stopped_at or backup.started_at
    return ended is not None and ended > now


def room_bytes(backup: Backup, backups: Iterable[Backup]) -> int | None:
    """Return what a restore writes at most; ``None``: the tool does not tell.

    What it rests on is added: a tool tells of an increment how much that one writes, not how large the whole is.
    """
    sizes = [one.size_bytes for one in chain_of(backup, backups)]
    return None if None in sizes else sum(size or 0 for size in sizes)


def chain_of(backup: Backup, backups: Iterable[Backup]) -> list[Backup]:
    """Return it and what it rests on, as far as that is in the list; in a ring the last one has a parent."""
    known = {one.id: one for one in backups}
    chain = [backup]
    while (parent := known.get(chain[-1].parent or "")) is not None and parent not in chain:
        chain.append(parent)
    return chain


def leads_to(backup: Backup, history: TimelineHistory | None) -> bool:
    """Tell whether a recovery that begins with it can come to where this history is; what is not known is no reason against it."""
    return history is None or _is_on_the_way_to(backup, history)


def _is_usable(backup: Backup, backups: Iterable[Backup]) -> bool:
    """Tell whether it is good, and so is everything that it rests on."""
    chain = chain_of(backup, backups)
    return chain[-1].parent is None and all(one.state is BackupState.OK for one in chain)


def _is_on_the_way(backup: Backup, target: RecoveryTarget, history: TimelineHistory | None) -> bool:
    if target.timeline == CURRENT_TIMELINE or backup.timeline is None:
        return True
    if target.timeline != LATEST_TIMELINE and (history is None or int(target.timeline) != history.timeline):
        return _is_on_the_way_to(backup, _history_of(int(target.timeline), history))
    return leads_to(backup, history)


def _history_of(timeline: int, newest: TimelineHistory | None) -> TimelineHistory:
    """Return the history of an older timeline, as far as that of the newest tells it."""
    older = () if newest is None or not newest.has(timeline) else newest.switches
    return TimelineHistory(timeline=timeline, switches=tuple(one for one in older if one.timeline < timeline))


def _is_on_the_way_to(backup: Backup, history: TimelineHistory) -> bool:
    if backup.timeline is None or backup.timeline == history.timeline:
        return True
    end = history.end_of(backup.timeline)
    return end is not None and (backup.stop_lsn is None or backup.stop_lsn <= end)


def _ends_before(backup: Backup, target: RecoveryTarget) -> bool:
    """Tell whether the backup is consistent before the target; what the tool does not tell is no proof."""
    match target.kind:
        case TargetKind.TIME:
            return backup.stopped_at is not None and target.time is not None and backup.stopped_at < target.time
        case TargetKind.LSN:
            return backup.stop_lsn is not None and target.lsn is not None and backup.stop_lsn <= target.lsn
        case _:
            return True


def _doubt(backup: Backup, doubted: Collection[str]) -> Iterable[str]:
    if backup.id in doubted:
        yield f"backup {backup.id} is in doubt: the archive lacks WAL of it, or a check has found it or what it rests on bad"


def _remarks(backup: Backup, target: RecoveryTarget, history: TimelineHistory | None) -> Iterable[str]:
    if history is None and target.timeline == LATEST_TIMELINE:
        yield "the history of timelines is not known: PostgreSQL looks for the newest in the archive"
    if backup.timeline is None:
        yield "the tool does not tell the backup's timeline"
    if target.kind in {TargetKind.XID, TargetKind.NAME}:
        yield f"nobody can tell beforehand whether {target} comes after the backup"
