"""A running demonstration: its cluster, its write load, and what has happened so far. It measures; what is done it does not know."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from hacore.demo.judgement import Crash, allowed_wal_bytes
from hacore.demo.place import DemoError
from hacore.demo.stage import LAG_LIMIT_BYTES, TTL_S
from hacore.testing.cluster import Cluster, ClusterNode
from hacore.testing.history import HistoryReport, WriteLoad, boot_s

DEADLINE_S: Final = 180.0  # for each step, on a busy machine
_ROWS_AFTER: Final = 100  # acknowledged after an event, before its gap is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happened, and what the clients saw of it."""

    name: str
    outcome: str
    took_s: float  # until the cluster was whole again
    leader: str
    timeline: int | None
    gap_ms: float | None = None  # the longest time without an acknowledgement after the event
    acknowledged: int = 0  # rows, since the step before
    lost: int = 0  # acknowledged rows that are found missing now and were not before
    lost_wal_bytes: int = 0
    two_writers: int = 0  # moments, since the step before


@dataclass(slots=True, kw_only=True)
class Show:
    """What the acts work on."""

    cluster: Cluster
    say: Callable[[str], None]
    steps: list[Step] = field(default_factory=list)
    crashes: list[Crash] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    report: HistoryReport | None = None  # the newest
    down: ClusterNode | None = None
    load: WriteLoad | None = None
    settled_at: float = 0.0

    def begin_writing(self) -> None:
        """Start the load, which runs to the end."""
        self.load = WriteLoad(self.cluster.dsns)
        self.load.start(timeout_s=DEADLINE_S)
        self.settled_at = boot_s()

    def crash(self, node: ClusterNode, at: float) -> None:
        """Note that this primary and all of its node was killed: some loss is allowed."""
        allowed = allowed_wal_bytes(self._load().attempts(), node.name, at, ttl_s=TTL_S, lag_limit_bytes=LAG_LIMIT_BYTES)
        self.crashes.append(Crash(node=node.name, since=self.settled_at, at=at, allowed_wal_bytes=allowed))
        self.down = node

    def whole(self) -> ClusterNode:
        """Wait until every node that was not killed leads or streams."""
        standing = [node for node in self.cluster.nodes.values() if node is not self.down]
        return self.cluster.wait_ready(standing, deadline_s=DEADLINE_S)

    def rows_go_on(self) -> None:
        """Wait for further rows."""
        load = self._load()
        wanted = load.progress().acknowledged + _ROWS_AFTER
        self.cluster.wait_for(lambda: load.progress().acknowledged >= wanted, "further rows", DEADLINE_S)

    def step(self, name: str, begun_at: float, tell: Callable[[ClusterNode], str]) -> Step:
        """Wait until the cluster is whole and takes writes, and measure what the event at ``begun_at`` has cost."""
        leader = self.whole()
        if self.load is not None:
            self.rows_go_on()
            leader = self.whole()
        took_s = boot_s() - begun_at
        outcome = tell(leader)
        timeline = self.cluster.members().get(leader.name, {}).get("timeline")
        if self.load is None:
            return Step(name=name, outcome=outcome, took_s=took_s, leader=leader.name, timeline=timeline)
        before, report = self.report, self.load.report()
        now, self.report = boot_s(), report
        step = Step(
            name=name,
            outcome=outcome,
            took_s=took_s,
            leader=leader.name,
            timeline=timeline,
            gap_ms=report.gap_ms(begun_at, within_s=now - begun_at),
            acknowledged=report.acknowledged - (before.acknowledged if before else 0),
            lost=report.lost_rows - (before.lost_rows if before else 0),
            lost_wal_bytes=_wal_bytes(report) - (_wal_bytes(before) if before else 0),
            two_writers=len(report.overlaps) - (len(before.overlaps) if before else 0),
        )
        self.settled_at = now
        return step

    def conclude(self) -> HistoryReport | None:
        """End the load and judge all of it."""
        if self.load is not None:
            self.report = self.load.stop()
        return self.report

    def _load(self) -> WriteLoad:
        if self.load is None:
            raise DemoError("the write load does not run")
        return self.load


def _wal_bytes(report: HistoryReport) -> int:
    return sum(loss.wal_bytes or 0 for loss in report.lost)
