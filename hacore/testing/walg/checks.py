"""``wal-show`` and ``wal-verify``: what WAL the storage has, and what it lacks."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

from hacore.testing.walg import archive, backups
from hacore.testing.walg.segments import FOLDER, Segment, parse, parse_history
from hacore.testing.walg.server import Server
from hacore.testing.walg.settings import Settings, segment_bytes, whole
from hacore.testing.walg.storage import Storage

_SEGMENT: Final = 24
CHECKS: Final = ("integrity", "timeline")


def show(settings: Settings, storage: Storage, *, with_backups: bool) -> list[dict[str, Any]]:
    """Return each timeline of the storage, as ``--detailed-json`` prints it."""
    size = segment_bytes(settings)
    made = backups.read_all(storage) if with_backups else []
    rows = []
    for timeline, group in groupby(sorted(_stored(settings, storage)), key=lambda segment: segment.timeline):
        there = list(group)
        numbers = {segment.number for segment in there}
        missing = [Segment(timeline, number).name(size) for number in range(there[0].number, there[-1].number) if number not in numbers]
        switches = _history(settings, storage, timeline)
        parent = max(switches, default=0)
        rows.append(
            {
                "id": timeline,
                "parent_id": parent,
                "switch_point_lsn": switches.get(parent, 0),
                "start_segment": there[0].name(size),
                "end_segment": there[-1].name(size),
                "segments_count": len(there),
                "missing_segments": missing,
                "backups": [{"backup_name": one.name} for one in made if parse(one.first_segment, size) in there],
                "segment_range_size": there[-1].number - there[0].number + 1,
                "status": "LOST_SEGMENTS" if missing else "OK",
            }
        )
    return rows


def verify(settings: Settings, storage: Storage, checks: list[str]) -> dict[str, Any]:
    """Compare what the storage has with where the server is. The verdict is in what is returned."""
    timeline, lsn = Server().position()
    stored = set(_stored(settings, storage))
    verdict: dict[str, Any] = {}
    if "integrity" in checks:
        verdict["integrity"] = _integrity(settings, storage, stored, Segment(timeline, lsn // segment_bytes(settings)))
    if "timeline" in checks:
        highest = max((segment.timeline for segment in stored), default=0)
        details = {"current_timeline_id": timeline, "highest_storage_timeline_id": highest}
        verdict["timeline"] = {"status": "WARNING" if not highest else "OK" if highest == timeline else "FAILURE", "details": details}
    return verdict


def _integrity(settings: Settings, storage: Storage, stored: set[Segment], current: Segment) -> dict[str, Any]:
    size = segment_bytes(settings)
    starts = [found for one in backups.read_all(storage) if (found := parse(one.first_segment, size))]
    first = min((start.number for start in starts), default=1)
    judged = list(_judged(settings, list(_lineage(settings, storage, current, first)), stored))
    details = []
    for (timeline, status), group in groupby(reversed(judged), key=lambda one: (one[0].timeline, one[1])):
        run = [segment for segment, _ in group]
        row = {"timeline_id": timeline, "start_segment": run[0].name(size), "end_segment": run[-1].name(size)}
        details.append({**row, "segments_count": len(run), "status": status})
    statuses = {row["status"] for row in details}
    return {"status": "FAILURE" if "MISSING_LOST" in statuses else "OK" if statuses <= {"FOUND"} else "WARNING", "details": details}


def _lineage(settings: Settings, storage: Storage, current: Segment, first: int) -> Iterator[Segment]:
    """Return the segments before the current one, newest first, each on the timeline that the server came along."""
    size = segment_bytes(settings)
    switches = sorted(_history(settings, storage, current.timeline).items(), reverse=True)
    timeline, number = current.timeline, current.number - 1
    while number >= first:
        while switches and number < switches[0][1] // size:
            timeline = switches.pop(0)[0]
        yield Segment(timeline, number)
        number -= 1


def _judged(settings: Settings, segments: list[Segment], stored: set[Segment]) -> Iterator[tuple[Segment, str]]:
    """Say of each segment, newest first, whether it is there, on its way or lost."""
    delayed, uploading = whole(settings, "WALG_INTEGRITY_MAX_DELAYED_WALS", 0), whole(settings, "WALG_UPLOAD_CONCURRENCY", 16)
    newest = next((index for index, segment in enumerate(segments) if segment in stored), len(segments))
    for index, segment in enumerate(segments):
        if segment in stored:
            yield segment, "FOUND"
        elif index < min(newest, delayed):
            yield segment, "MISSING_DELAYED"
        else:
            yield segment, "MISSING_UPLOADING" if index < delayed + uploading else "MISSING_LOST"


def _stored(settings: Settings, storage: Storage) -> Iterator[Segment]:
    for name in storage.names(FOLDER):
        base, _, ending = name.removeprefix(FOLDER).partition(".")
        segment = parse(base, segment_bytes(settings))
        if segment is not None and "." not in ending:
            yield segment


def _history(settings: Settings, storage: Storage, timeline: int) -> dict[int, int]:
    stored = archive.load(settings, storage, f"{timeline:08X}.history") if timeline > 1 else None
    return parse_history(stored.decode()) if stored else {}
