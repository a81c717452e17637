"""How the timelines of the cluster followed each other: ``history`` (interface reference 3.1)."""

from collections.abc import Sequence
from typing import Final

from hacore.model.cluster import HistoryLine
from hacore.records.json_text import BrokenRecordError, as_list, as_lsn, as_text, as_timeline, compact, parse

_SHORTEST: Final = 3  # lines of old releases have neither time nor leader


def read_history(text: str) -> tuple[HistoryLine, ...]:
    """Read ``history``, oldest first.

    :raises BrokenRecordError: it cannot be understood.
    """
    found = parse(text)
    return tuple(_read_line(as_list(one)) for one in as_list([] if found is None else found))


def history_json(lines: Sequence[HistoryLine], previous: str | None = None) -> str:
    """Write ``history``. A line that stands in the ``previous`` record already stays as it is there."""
    standing = {(line.timeline, line.lsn): row for row, line in _previous(previous)}
    return compact([standing.get((line.timeline, line.lsn), _row(line)) for line in lines])


def _previous(text: str | None) -> list[tuple[list[object], HistoryLine]]:
    if text is None:
        return []
    try:
        rows = [as_list(one) for one in as_list(parse(text))]
        return [(row, _read_line(row)) for row in rows]
    except BrokenRecordError:
        return []  # written anew, from what this server knows


def _read_line(row: list[object]) -> HistoryLine:
    if len(row) < _SHORTEST:
        raise BrokenRecordError("a line of history has a timeline, a position and a reason")
    timestamp, new_leader = (*row[_SHORTEST : _SHORTEST + 2], None, None)[:2]
    return HistoryLine(
        timeline=as_timeline(row[0]),
        lsn=as_lsn(row[1]),
        reason=as_text(row[2]),
        timestamp=None if timestamp is None else as_text(timestamp),
        new_leader=None if new_leader is None else as_text(new_leader),
    )


def _row(line: HistoryLine) -> list[object]:
    row: list[object] = [line.timeline, line.lsn, line.reason]
    if line.timestamp is not None:
        row.append(line.timestamp)
        if line.new_leader is not None:
            row.append(line.new_leader)
    return row
