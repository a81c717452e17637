"""What the demonstration says: lines for people in 80 columns, and one document for programs. Pure."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from hacore import __version__
from hacore.demo.judgement import Judgement
from hacore.demo.place import Place
from hacore.demo.show import Show, Step
from hacore.demo.stage import LAG_LIMIT_BYTES, TTL_S


def headline(place: Place) -> str:
    """Say what is about to run."""
    return f"hacore {__version__}: three nodes, embedded store, ttl {TTL_S} s, fsync off (only processes die)\n{place}"


def step_lines(step: Step, number: int, of: int) -> Iterator[str]:
    """Say what happened in a step."""
    yield f"[{number}/{of}] {step.name}: {step.outcome}"
    yield f"      {step.leader} leads on timeline {step.timeline}, all is well after {step.took_s:.1f} s"
    if step.gap_ms is not None:
        wal = f" ({step.lost_wal_bytes:,} bytes of WAL)" if step.lost else ""
        yield (
            f"      write gap {step.gap_ms:,.0f} ms | rows acknowledged {step.acknowledged:,}, lost {step.lost:,}{wal}"
            f" | two writers {step.two_writers}"
        )


def last_words(show: Show, judgement: Judgement) -> Iterator[str]:
    """Say how it ended."""
    report = show.report
    if report is not None:
        yield (
            f"rows acknowledged {report.acknowledged:,}, unknown {report.unknown:,}, lost {report.lost_rows:,};"
            f" moments with two writers: {len(report.overlaps)}"
        )
    for crash in show.crashes:
        yield (
            f"{crash.node} was killed: {judgement.lost_wal_bytes:,} bytes of WAL are lost;"
            f" asynchronous replication may lose {crash.allowed_wal_bytes:,}"
        )
    yield from (f"WRONG: {problem}" for problem in judgement.problems)
    yield "all as promised" if judgement.is_good else "not as promised"


def document(place: Place, show: Show, judgement: Judgement) -> dict[str, Any]:
    """Build the document of ``--format json``."""
    report = show.report
    return {
        "version": __version__,
        "ok": judgement.is_good,
        "problems": list(judgement.problems),
        "postgresql": {"version": place.version, "origin": place.origin, "directory": str(place.directory)},
        "members": list(show.cluster.nodes),
        "ttl": TTL_S,
        "maximum_lag_on_failover": LAG_LIMIT_BYTES,
        "steps": [asdict(step) for step in show.steps],
        "rows": {
            "acknowledged": report.acknowledged if report else 0,
            "unknown": report.unknown if report else 0,
            "lost": report.lost_rows if report and report.read_back else None,
        },
        "two_writers": [asdict(overlap) for overlap in report.overlaps] if report else [],
        "logs": [] if judgement.is_good else [str(node.log) for node in show.cluster.nodes.values()],
        "lost_wal_bytes": judgement.lost_wal_bytes,
        "allowed_wal_bytes": judgement.allowed_wal_bytes,
    }
