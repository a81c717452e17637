"""What may and what may not have happened in a demonstration. Pure: it is told what the writers saw and what was done when."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hacore.model.lsn import Lsn
from hacore.testing.verdict import Attempt, HistoryReport, Loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """A primary whose whole node was killed: the one event after which asynchronous replication may have lost something."""

    node: str
    since: float  # everything before was settled by then: a row acknowledged earlier may not be lost
    at: float
    allowed_wal_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict at the end."""

    problems: tuple[str, ...]
    lost_wal_bytes: int  # of killed nodes
    allowed_wal_bytes: int

    @property
    def is_good(self) -> bool:
        """Whether everything promised was kept."""
        return not self.problems


def judge(report: HistoryReport | None, crashes: Sequence[Crash], failures: Sequence[str] = ()) -> Judgement:
    """Hold what was seen against the promises: no two writers ever; losses only of a killed node, and within the bound.

    :param failures: what went wrong besides.
    """
    problems = list(failures)
    if report is None:
        return Judgement(problems=tuple(problems) or ("nothing was written",), lost_wal_bytes=0, allowed_wal_bytes=0)
    problems += [str(overlap) for overlap in report.overlaps]
    if not report.read_back:
        problems.append("no node let the rows be read at the end: what was lost is not known")
    lost_total = 0
    for crash in crashes:
        lost = sum(_bytes(loss) for loss in report.lost if is_of(loss, crash))
        lost_total += lost
        if lost > crash.allowed_wal_bytes:
            problems.append(f"{crash.node} was killed: {lost} bytes of WAL are lost, want at most {crash.allowed_wal_bytes}")
        if any(loss.wal_bytes is None for loss in report.lost if is_of(loss, crash)):
            problems.append(f"{crash.node} was killed: how much WAL is lost is not known")
    problems += [str(loss) for loss in report.lost if not any(is_of(loss, crash) for crash in crashes)]
    allowed = sum(crash.allowed_wal_bytes for crash in crashes)
    return Judgement(problems=tuple(problems), lost_wal_bytes=lost_total, allowed_wal_bytes=allowed)


def is_of(loss: Loss, crash: Crash) -> bool:
    """Whether these rows may have gone with the killed node: the last of its own, acknowledged since the event before."""
    return loss.node == crash.node and crash.since <= loss.first_at and loss.last_at <= crash.at + 1.0


def allowed_wal_bytes(attempts: Iterable[Attempt], node: str, at: float, *, ttl_s: float, lag_limit_bytes: int) -> int:
    """Compute what an automatic failover may lose: the lag that a candidate may have, and the WAL of the last ttl."""
    positions = [
        (attempt.ended_at, attempt.lsn) for attempt in attempts if attempt.node == node and attempt.acknowledged and attempt.lsn is not None
    ]
    positions.sort()
    recent: list[Lsn] = [lsn for ended_at, lsn in positions if ended_at >= at - ttl_s]
    older = [lsn for ended_at, lsn in positions if ended_at < at - ttl_s]
    if not recent:
        return lag_limit_bytes
    return lag_limit_bytes + max(recent[-1] - (older[-1] if older else recent[0]), 0)


def _bytes(loss: Loss) -> int:
    return loss.wal_bytes or 0
