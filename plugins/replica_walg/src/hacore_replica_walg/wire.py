"""What ``wal-g`` prints, turned into values; pure. What is not understood is an error, never "nothing there"."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import TablespacePlaces
from hacore.interfaces import ArchiveStatus, Backup, BackupKind
from hacore.model.lsn import Lsn

_NAME: Final = re.compile(r"base_([0-9A-F]{8})([0-9A-F]{16})(?:_D_([0-9A-F]{24}))?")
_HEADER_BYTES: Final = 40  # of the first page of a segment: XLogLongPageHeaderData
_SYSTEM_ID: Final = slice(24, 32)
_MAGIC: Final = range(0xD000, 0xE000)  # XLOG_PAGE_MAGIC of all versions so far
_LONG_HEADER: Final = 0x0002  # XLP_LONG_HEADER
_TAG: Final = "hacore_backup"
_GAPS_SHOWN: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """WAL segments that follow each other, and whether they are stored: a line of ``wal-verify``."""

    first: str
    last: str
    status: str  # FOUND, MISSING_DELAYED, MISSING_UPLOADING, MISSING_LOST


def read_backups(text: str, sentinel: Callable[[str], str]) -> tuple[Backup, ...]:
    """Read ``backup-list --json --detail``, the oldest first; nothing at all means none.

    :param sentinel: reads what WAL-G has written of a backup; asked only where names alone do not tell of what an increment was made.
    :raises PluginUnavailableError: it is something else.
    """
    rows = _rows(text, "backup-list")
    try:
        named = [(str(row["backup_name"]), row) for row in rows]
        names = [name for name, _ in named]
        found = [_backup(name, row, _parent(name, names, sentinel)) for name, row in named]
    except (KeyError, TypeError, ValueError) as error:
        raise PluginUnavailableError(f"wal-g backup-list: not understood: {error!r}") from error
    return tuple(sorted(found, key=_age))


def read_status(text: str) -> ArchiveStatus:
    """Read ``wal-show --detailed-json``.

    :raises PluginUnavailableError: it is something else.
    """
    rows = _rows(text, "wal-show")
    try:
        newest = max(rows, key=lambda row: int(row["id"]), default=None)
        missing = [str(name) for row in rows for name in row.get("missing_segments") or ()]
        return ArchiveStatus(
            last_segment=None if newest is None else str(newest["end_segment"]),
            gaps=tuple(gaps(missing)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PluginUnavailableError(f"wal-g wal-show: not understood: {error!r}") from error


def read_integrity(lines: Iterable[str]) -> tuple[Run, ...]:
    """Read ``wal-verify integrity --json`` from among the lines of its log. The exit code says nothing, the verdict is here.

    :raises PluginUnavailableError: there is no verdict.
    """
    text = "\n".join(lines)
    start, end = text.find("{"), text.rfind("}")
    try:
        details = json.loads(text[start : end + 1])["integrity"]["details"] or ()
        return tuple(Run(first=str(row["start_segment"]), last=str(row["end_segment"]), status=str(row["status"])) for row in details)
    except (KeyError, TypeError, ValueError) as error:
        raise PluginUnavailableError(f"wal-g wal-verify: no verdict is understood: {error!r}") from error


def system_id_of(segment: bytes) -> str | None:
    """Read whose WAL a segment is from its first page; ``None``: it is no segment."""
    header = segment[:_HEADER_BYTES]
    magic, info = int.from_bytes(header[:2], "little"), int.from_bytes(header[2:4], "little")
    if len(header) < _HEADER_BYTES or magic not in _MAGIC or not info & _LONG_HEADER:
        return None
    return str(int.from_bytes(header[_SYSTEM_ID], "little"))


def order_of(backup: Backup) -> str:
    """Return by what WAL-G itself compares backups: the segment in the name, its timeline first."""
    match = _NAME.fullmatch(backup.id)
    return match[1] + match[2] if match else ""


def begins_no_earlier(segment: str, backups: Iterable[Backup]) -> Backup | None:
    """Return a backup of this timeline that begins in a segment or after it: one that begins there could take its name, and its place."""
    return next((one for one in backups if order_of(one)[:8] == segment[:8] and order_of(one) >= segment), None)


def segment_of(backup: Backup) -> str:
    """Return the segment where a backup begins, without its timeline: an ordinal along the history."""
    return order_of(backup)[8:]


def user_data(labels: Mapping[str, str], tag: str) -> str:
    """Write what is kept with a new backup: its labels, and a mark to know it by."""
    return json.dumps({**labels, _TAG: tag}, sort_keys=True)


def is_tagged(backup: Backup, tag: str) -> bool:
    """Tell whether a backup is the one that was made with this mark."""
    return backup.labels.get(_TAG) == tag


def restore_spec(sentinel: str, places: TablespacePlaces, data_dir: str) -> str | None:
    """Write where the tablespaces of a backup shall be, from what its sentinel says of them; ``None``: it has none.

    :raises PluginUnavailableError: it says nothing that is understood.
    :raises DataDirectoryError: a directory has content.
    """
    try:
        spec = json.loads(sentinel)["Spec"]
        found = {str(oid): str(spec[oid]["loc"]) for oid in spec["tablespaces"]} if spec else {}
    except (KeyError, TypeError, ValueError) as error:
        raise PluginUnavailableError(f"wal-g: tablespaces of the backup: not understood: {error!r}") from error
    if not found:
        return None
    for oid, place in places.of(found).items():
        spec[oid]["loc"] = place
    return json.dumps({**spec, "base_prefix": data_dir})


def origin(sentinel: str) -> str:
    """Return of what an increment was made, from what WAL-G has written of it.

    :raises PluginUnavailableError: it says nothing that is understood.
    """
    try:
        return str(json.loads(sentinel)["DeltaFrom"])
    except (KeyError, TypeError, ValueError) as error:
        raise PluginUnavailableError(f"wal-g: of what the increment was made: not understood: {error!r}") from error


def gaps(missing: Sequence[str]) -> list[str]:
    """Return ranges of segments that follow each other, for people."""
    ranges: list[list[str]] = []
    for name in sorted(missing):
        if ranges and _follows(ranges[-1][-1], name):
            ranges[-1][1:] = [name]
        else:
            ranges.append([name])
    shown = [" to ".join(one) for one in ranges[:_GAPS_SHOWN]]
    return shown if len(ranges) <= _GAPS_SHOWN else [*shown, f"and {len(ranges) - _GAPS_SHOWN} more"]


def _follows(first: str, second: str) -> bool:
    same_log = first[:16] == second[:16] and int(second[16:], 16) == int(first[16:], 16) + 1
    next_log = first[:8] == second[:8] and int(second[8:16], 16) == int(first[8:16], 16) + 1
    return same_log or (next_log and int(second[16:], 16) == 0 and int(first[16:], 16) > 0)


def _rows(text: str, command: str) -> list[dict[str, Any]]:
    if not text.strip():
        return []
    try:
        found = json.loads(text)
    except ValueError as error:
        raise PluginUnavailableError(f"wal-g {command}: what it printed is no JSON: {error}") from error
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise PluginUnavailableError(f"wal-g {command}: what it printed is no list")
    return found


def _backup(name: str, row: dict[str, Any], parent: str | None) -> Backup:
    labels, version = row.get("user_data"), row.get("pg_version")
    return Backup(
        id=name,
        kind=BackupKind.FULL if "_D_" not in name else BackupKind.INCREMENTAL,
        started_at=_time(row.get("start_time")),
        stopped_at=_time(row.get("finish_time")) or _time(row.get("time")),
        start_lsn=_lsn(row.get("start_lsn")),
        stop_lsn=_lsn(row.get("finish_lsn")),
        timeline=int(str(row["wal_file_name"])[:8], 16),
        system_id=str(row["system_identifier"]) if row.get("system_identifier") else None,
        major_version=int(version) // 10000 if version else None,
        size_bytes=row.get("uncompressed_size"),
        stored_bytes=row.get("compressed_size"),
        parent=parent,
        is_locked=bool(row.get("is_permanent")),
        host=row.get("hostname"),
        labels={str(key): str(value) for key, value in labels.items()} if isinstance(labels, dict) else {},
    )


def _parent(name: str, names: Sequence[str], sentinel: Callable[[str], str]) -> str | None:
    """Return the backup that an increment was made from: its name ends in the segment where that one begins, and so may several."""
    match = _NAME.fullmatch(name)
    if match is None or match[3] is None:
        return None
    start = f"base_{match[3]}"
    candidates = [other for other in names if other != name and (other == start or other.startswith(f"{start}_D_"))]
    if len(candidates) > 1:
        return origin(sentinel(name))
    return candidates[0] if candidates else start


def _time(text: object) -> datetime | None:
    if not text:
        return None
    found = datetime.fromisoformat(str(text))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _lsn(value: object) -> Lsn | None:
    return Lsn(int(str(value))) if value else None


def _age(backup: Backup) -> tuple[datetime, str]:
    return backup.stopped_at or datetime.min.replace(tzinfo=UTC), backup.id
