"""What happened to every row that somebody tried to write: acknowledged, unknown or lost, and whether two nodes took writes at once.

Pure arithmetic over what :mod:`hacore.testing.history` has recorded. All instants are seconds of the boot-time clock of this machine.
It does not know which node was meant to be the leader: it judges from outside.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Self

from hacore.model.lsn import Lsn


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One row that a writer sent, and what came back."""

    node: str
    session: int  # of this writer: grows with each new connection
    writer: str
    seq: int
    sent_at: float
    ended_at: float  # acknowledged: when the answer was here; unknown: when the writer gave up
    acknowledged: bool  # ``False``: unknown, the row may or may not be there
    lsn: Lsn | None = None  # near the end of WAL when the row was written

    @property
    def row(self) -> tuple[str, int]:
        """Return the key of the row."""
        return self.writer, self.seq


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time through which one node has provably taken writes: one session lived from its first to its last acknowledgement."""

    node: str
    begin: float  # by then the first commit had happened
    end: float  # until then the last commit had not
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Two nodes that took writes at one moment."""

    nodes: tuple[str, str]
    begin: float
    end: float

    def __str__(self) -> str:
        return f"{self.nodes[0]} and {self.nodes[1]} both took writes for {(self.end - self.begin) * 1000:.1f} ms from {self.begin:.3f} on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Acknowledged rows of one node that are not in the database any more."""

    node: str
    rows: int
    first_at: float  # when the first of them was acknowledged
    last_at: float
    wal_bytes: int | None  # from the last row that was kept to the last one that was lost

    def __str__(self) -> str:
        size = "an unknown amount of" if self.wal_bytes is None else f"{self.wal_bytes} bytes of"
        when = f"acknowledged from {self.first_at:.3f} to {self.last_at:.3f}"
        return f"{self.rows} rows acknowledged by {self.node} are lost, {size} WAL, {when}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryReport:
    """The verdict on one run of a write load."""

    acknowledged: int
    unknown: int  # sent, no answer: both outcomes are right
    unknown_kept: int  # of these, found in the database
    lost: tuple[Loss, ...]
    overlaps: tuple[Overlap, ...]
    spans: tuple[Span, ...]  # in the order of their beginning
    acks: Mapping[str, Sequence[float]]  # per node, ascending: when an acknowledgement was here
    read_back: bool  # ``False``: no node answered at the end, nothing is known of losses

    @property
    def lost_rows(self) -> int:
        """Return how many acknowledged rows are not there any more."""
        return sum(loss.rows for loss in self.lost)

    def last_ack(self, node: str, *, before: float | None = None) -> float | None:
        """Return when ``node`` acknowledged last, or last before an instant."""
        acks = self.acks.get(node, ())
        index = len(acks) if before is None else bisect_right(acks, before)
        return acks[index - 1] if index else None

    def acks_between(self, node: str, begin: float, end: float) -> int:
        """Count acknowledgements of ``node`` after ``begin`` and not after ``end``."""
        acks = self.acks.get(node, ())
        return bisect_right(acks, end) - bisect_right(acks, begin)

    def first_ack_after(self, instant: float, *, but: str | None = None) -> tuple[str, float] | None:
        """Return the node (not ``but``) that acknowledged first after an instant, and when."""
        found = []
        for node, acks in self.acks.items():
            index = bisect_right(acks, instant)
            if node != but and index < len(acks):
                found.append((acks[index], node))
        return (min(found)[1], min(found)[0]) if found else None

    def gap_ms(self, event_at: float, *, within_s: float = 60.0) -> float | None:
        """Return the longest time without an acknowledgement of any node that ended in the ``within_s`` after an event.

        ``None``: no write was acknowledged after it.
        """
        return longest_gap_ms(sorted(ack for acks in self.acks.values() for ack in acks), event_at, within_s=within_s)

    def problems(self) -> list[str]:
        """Say what must never happen: two writers at once, acknowledged rows that are lost, a database that nobody could read."""
        found = [str(overlap) for overlap in self.overlaps] + [str(loss) for loss in self.lost]
        if not self.read_back:
            found.append("no node let the rows be read at the end")
        return found

    @classmethod
    def of(cls, attempts: Iterable[Attempt], present: frozenset[tuple[str, int]] | None) -> Self:
        """Judge attempts against the rows that are there at the end (``None``: they could not be read)."""
        attempts = sorted(attempts, key=lambda attempt: attempt.ended_at)
        acknowledged = [attempt for attempt in attempts if attempt.acknowledged]
        unknown = [attempt for attempt in attempts if not attempt.acknowledged]
        acks: dict[str, list[float]] = defaultdict(list)
        for attempt in acknowledged:
            acks[attempt.node].append(attempt.ended_at)
        spans = writable_spans(acknowledged)
        lone = lone_commits(acknowledged)
        return cls(
            acknowledged=len(acknowledged),
            unknown=len(unknown),
            unknown_kept=sum(attempt.row in present for attempt in unknown) if present is not None else 0,
            lost=losses(acknowledged, present) if present is not None else (),
            overlaps=overlaps(spans, lone),
            spans=spans,
            acks={node: tuple(times) for node, times in acks.items()},
            read_back=present is not None,
        )


def longest_gap_ms(acks: Sequence[float], event_at: float, *, within_s: float) -> float | None:
    """Return the longest gap between two neighbours of ``acks`` (ascending) that ends after an event and begins within a time after it."""
    start = max(bisect_right(acks, event_at) - 1, 0)
    gaps = [late - early for early, late in pairwise(acks[start:]) if late > event_at and early <= event_at + within_s]
    return max(gaps) * 1000 if gaps else None


def writable_spans(acknowledged: Iterable[Attempt]) -> tuple[Span, ...]:
    """Fold each session into the time through which its node was provably a primary.

    A server that stops being one ends its sessions, so between two commits of one session it was one all the time. The first commit had
    happened when its answer was here, the last one had not when it was sent: so there is no span that a slow network could have made up.
    """
    spans = []
    for commits in _sessions(acknowledged):
        first, last = commits[0], commits[-1]
        if last.sent_at > first.ended_at:
            spans.append(Span(node=first.node, begin=first.ended_at, end=last.sent_at, rows=len(commits)))
    return tuple(sorted(spans, key=lambda span: span.begin))


def lone_commits(acknowledged: Iterable[Attempt]) -> tuple[Span, ...]:
    """Return the only commits of their sessions: each happened at some moment between its sending and its answer."""
    return tuple(
        Span(node=commits[0].node, begin=commits[0].sent_at, end=commits[0].ended_at, rows=1)
        for commits in _sessions(acknowledged)
        if len(commits) == 1
    )


def _sessions(acknowledged: Iterable[Attempt]) -> list[list[Attempt]]:
    sessions: dict[tuple[str, str, int], list[Attempt]] = defaultdict(list)
    for attempt in acknowledged:
        sessions[attempt.node, attempt.writer, attempt.session].append(attempt)
    return [sorted(commits, key=lambda commit: commit.seq) for commits in sessions.values()]


def overlaps(spans: Sequence[Span], lone: Sequence[Span] = ()) -> tuple[Overlap, ...]:
    """Find every moment in which two nodes were provably writable: spans that meet, and lone commits that lie within a span."""
    both = [
        (one, other)
        for one, other in combinations(spans, 2)
        if one.node != other.node and max(one.begin, other.begin) < min(one.end, other.end)
    ]
    within = [(span, one) for span in spans for one in lone if span.node != one.node and span.begin < one.begin and one.end < span.end]
    return tuple(
        Overlap(nodes=(one.node, other.node), begin=max(one.begin, other.begin), end=min(one.end, other.end))
        for one, other in both + within
    )


def losses(acknowledged: Sequence[Attempt], present: frozenset[tuple[str, int]]) -> tuple[Loss, ...]:
    """Find acknowledged rows that are not there, a :class:`Loss` for each node and each run of such rows."""
    found = []
    by_node: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in acknowledged:
        by_node[attempt.node].append(attempt)
    for node, commits in by_node.items():
        kept_lsn: Lsn | None = None
        run: list[Attempt] = []
        for commit in [*commits, None]:
            if commit is not None and commit.row not in present:
                run.append(commit)
                continue
            if run:
                found.append(_loss(node, run, kept_lsn))
                run = []
            if commit is not None:
                kept_lsn = commit.lsn
    return tuple(found)


def _loss(node: str, run: Sequence[Attempt], kept_lsn: Lsn | None) -> Loss:
    begin = kept_lsn if kept_lsn is not None else run[0].lsn
    end = run[-1].lsn
    size = None if begin is None or end is None else max(end - begin, 0)
    return Loss(node=node, rows=len(run), first_at=run[0].ended_at, last_at=run[-1].ended_at, wal_bytes=size)
