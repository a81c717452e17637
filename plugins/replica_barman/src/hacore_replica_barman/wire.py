"""What Barman prints and keeps, turned into values; pure. What is not understood is an error, never "nothing there"."""

import ast
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import TablespacePlaces
from hacore.interfaces import ArchiveConflict, ArchiveOwned, ArchiveStatus, Backup, BackupKind, BackupState
from hacore.model.lsn import Lsn

_SEGMENT: Final = re.compile(r"[0-9A-F]{24}")
_BEGUN: Final = re.compile(r"Starting backup .* in (?:\S*/)?(\d{8}T\d{6})\s*")
_LONG_HEADER: Final = 0x0002  # XLP_LONG_HEADER
_MAGIC: Final = range(0xD000, 0xE000)  # XLOG_PAGE_MAGIC of all versions so far
_HEADER_BYTES: Final = 40
_CTIME: Final = "%a %b %d %H:%M:%S %Y"  # what barman-cloud-backup-list prints
_COPYING: Final = frozenset({"EMPTY", "STARTED", "SYNCING"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Backups, the oldest first; the directories of their tablespaces by name, by the backup's id; backups by the name they were given."""

    backups: tuple[Backup, ...]
    tablespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    named: Mapping[str, Backup] = field(default_factory=dict)

    def moves(self, backup_id: str, places: TablespacePlaces) -> tuple[str, ...]:
        """Return the options that put the tablespaces of a backup where they belong.

        :raises DataDirectoryError: a directory has content.
        """
        found = self.tablespaces.get(backup_id, {})
        moved = (f"{name}:{place}" for name, place in places.of(found).items() if place != found[name])
        return tuple(word for one in moved for word in ("--tablespace", one))


def read_listing(text: str, server: str, mark: str) -> Listing:
    """Read what ``scripts.listing`` prints.

    :raises PluginUnavailableError: it is something else, or the two halves do not fit.
    """
    head, *parts = re.split(rf"^{re.escape(mark)}", text, flags=re.MULTILINE)
    try:
        listed = {str(row["backup_id"]): str(row["status"]) for row in json.loads(head)[server]}
        is_busy = {"busy": True, "idle": False}[parts[0].strip()]
        infos = dict(_info(part) for part in parts[1:])
        lacking = sorted(set(listed) ^ set(infos))
        if lacking:  # list-backup says nothing at all where it cannot read
            raise PluginUnavailableError(f"barman list-backup and {', '.join(lacking)} on its disk do not fit")
        backups = [_backup(name, infos[name], is_busy=is_busy) for name in listed]
        places = {name: {label: place for label, _, place in _tablespaces(infos[name])} for name in listed}
    except (KeyError, IndexError, TypeError, ValueError, SyntaxError, AttributeError) as error:
        raise PluginUnavailableError(f"barman list-backup: not understood: {error!r}") from error
    return Listing(backups=tuple(sorted(backups, key=lambda one: one.id)), tablespaces=places)


def read_cloud_listing(text: str) -> Listing:
    """Read ``barman-cloud-backup-list --format json``; its times are of the zone of the program that printed them: UTC.

    :raises PluginUnavailableError: it is something else.
    """
    try:
        rows = json.loads(text)["backups_list"]
        infos = [{key: "" if value is None else str(value) for key, value in row.items()} | {"kept": ""} for row in rows]
        backups = {info["backup_id"]: _backup(info["backup_id"], info, is_busy=True) for info in infos}
        places = {info["backup_id"]: {label: place for label, _, place in _tablespaces(info)} for info in infos}
        named = {info["backup_name"]: backups[info["backup_id"]] for info in infos if _said(info, "backup_name")}
    except (KeyError, TypeError, ValueError, SyntaxError, AttributeError) as error:
        raise PluginUnavailableError(f"barman-cloud-backup-list: not understood: {error!r}") from error
    return Listing(backups=tuple(sorted(backups.values(), key=lambda one: one.id)), tablespaces=places, named=named)


def judged(system_id: str, ours: str, where: str) -> ArchiveOwned | ArchiveConflict:
    """Compare whose it is with who we are."""
    if system_id == ours:
        return ArchiveOwned()
    return ArchiveConflict(owner=f"a cluster with the system identifier {system_id} ({where})")


def is_segment(name: str) -> bool:
    """Tell whether this is the name of a segment of WAL."""
    return _SEGMENT.fullmatch(name) is not None


def read_wal(lines: Iterable[str]) -> ArchiveStatus:
    """Read names of WAL files, of those filed away and of those that wait."""
    return ArchiveStatus(last_segment=max((line for line in lines if _SEGMENT.fullmatch(line)), key=lambda name: name[8:], default=None))


def read_owner(text: str) -> str:
    """Read the system identifier in Barman's own note.

    :raises PluginUnavailableError: it is something else.
    """
    try:
        return str(json.loads(text)["systemid"])
    except (KeyError, TypeError, ValueError) as error:
        raise PluginUnavailableError(f"barman: identity.json is not understood: {error!r}") from error


def system_id_of(digits: str) -> str | None:
    """Read whose WAL a segment is from the header of its first page; ``None``: it is no segment."""
    try:
        header = bytes.fromhex("".join(digits.split()))
    except ValueError:
        return None
    magic, info = int.from_bytes(header[:2], "little"), int.from_bytes(header[2:4], "little")
    if len(header) < _HEADER_BYTES or magic not in _MAGIC or not info & _LONG_HEADER:
        return None
    return str(int.from_bytes(header[24:32], "little"))


def begun(line: str) -> str | None:
    """Return the id of the backup that ``barman backup`` says it begins."""
    match = _BEGUN.fullmatch(line)
    return match[1] if match else None


def _info(part: str) -> tuple[str, dict[str, str]]:
    head, _, body = part.partition("\n")
    name, *kept = head.split()
    found = dict(line.split("=", 1) for line in body.splitlines() if "=" in line)
    return name, {**found, "kept": "yes" if kept else ""}


def _backup(name: str, info: Mapping[str, str], *, is_busy: bool) -> Backup:
    version, parent = _said(info, "version"), _said(info, "parent_backup_id")
    timeline, size, stored = _said(info, "timeline"), _said(info, "size"), _said(info, "deduplicated_size")
    return Backup(
        id=name,
        kind=BackupKind.INCREMENTAL if parent else BackupKind.FULL,
        state=_state(info["status"], is_busy=is_busy),
        started_at=_time(_said(info, "begin_time")),
        stopped_at=_time(_said(info, "end_time")),
        start_lsn=_lsn(_said(info, "begin_xlog")),
        stop_lsn=_lsn(_said(info, "end_xlog")),
        timeline=int(timeline) if timeline else None,
        system_id=_said(info, "systemid"),
        major_version=int(version) // 10000 if version else None,
        size_bytes=int(size) if size else None,
        stored_bytes=int(stored) if stored else None,
        parent=parent,
        is_locked=bool(info["kept"]),
    )


def _state(status: str, *, is_busy: bool) -> BackupState:
    if status == "DONE":
        return BackupState.OK
    if status == "WAITING_FOR_WALS":  # it is copied, and cannot be restored yet
        return BackupState.RUNNING
    # Whoever made it has died where the lock of backups is free.
    return BackupState.RUNNING if status in _COPYING and is_busy else BackupState.FAILED


def _tablespaces(info: Mapping[str, str]) -> Sequence[tuple[str, Any, str]]:
    found = _said(info, "tablespaces")
    return ast.literal_eval(found) if found else []


def _said(info: Mapping[str, str], key: str) -> str | None:
    found = info.get(key, "")
    return None if found in {"", "None"} else found


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = datetime.strptime(text, _CTIME).replace(tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _lsn(text: str | None) -> Lsn | None:
    return None if text is None else Lsn.parse(text)
