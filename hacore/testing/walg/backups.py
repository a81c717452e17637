"""The base backups of the storage: what is written of each, and how they are listed."""

import json
import re
from typing import Any, Final, NamedTuple

from hacore.testing.walg.settings import WalgError
from hacore.testing.walg.storage import Storage

FOLDER: Final = "basebackups_005/"
SENTINEL: Final = "_backup_stop_sentinel.json"
LATEST: Final = "LATEST"
DATE_FORMAT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
_NAME: Final = re.compile(r"base_([0-9A-F]{24})(?:_D_([0-9A-F]{24}))?")
_LISTED: Final = (
    "start_time", "finish_time", "date_fmt", "hostname", "data_dir", "pg_version", "start_lsn", "finish_lsn", "is_permanent",
    "system_identifier", "uncompressed_size", "compressed_size", "user_data",
)  # fmt: skip


class Backup(NamedTuple):
    """One that was finished."""

    name: str
    sentinel: dict[str, Any]
    metadata: dict[str, Any]

    @property
    def parent(self) -> str | None:
        """The one that it is an increment of."""
        return self.sentinel.get("DeltaFrom")

    @property
    def is_permanent(self) -> bool:
        """Whether it may not be deleted."""
        return bool(self.metadata["is_permanent"])

    @property
    def first_segment(self) -> str:
        """The WAL segment where it begins."""
        return segment_of(self.name) or ""


def segment_of(name: str) -> str | None:
    """Return the WAL segment in the name of a backup; ``None``: no backup is called like this."""
    match = _NAME.fullmatch(name)
    return match[1] if match else None


def read_all(storage: Storage) -> list[Backup]:
    """Return all that were finished, in the order of time."""
    names = [name for name in storage.names(FOLDER) if name.endswith(SENTINEL) and name.count("/") == 1]
    found = [read_one(storage, name.removeprefix(FOLDER).removesuffix(SENTINEL)) for name in names]
    return sorted(found, key=lambda backup: (backup.metadata["finish_time"], backup.name))


def read_one(storage: Storage, name: str) -> Backup:
    """Return the backup of this name."""
    sentinel, metadata = storage.read(f"{FOLDER}{name}{SENTINEL}"), storage.read(f"{FOLDER}{name}/metadata.json")
    if sentinel is None:
        raise WalgError(f"Backup '{name}' does not exist.")
    if metadata is None:
        raise WalgError(f"Backup '{name}': metadata.json does not exist")
    return Backup(name, json.loads(sentinel), json.loads(metadata))


def files_of(storage: Storage, name: str) -> dict[str, dict[str, Any]]:
    """Return what is written of each file of a backup, by its path in the data directory."""
    stored = storage.read(f"{FOLDER}{name}/files_metadata.json")
    if stored is None:
        raise WalgError(f"Backup '{name}': files_metadata.json does not exist")
    found: dict[str, dict[str, Any]] = json.loads(stored)["Files"]
    return found


def resolve(backups: list[Backup], name: str, user_data: str | None = None) -> Backup:
    """Return the backup that a command means: by name, ``LATEST``, or what was written into it."""
    if user_data is not None:
        matching = [one for one in backups if one.metadata["user_data"] == json.loads(user_data)]
        if len(matching) != 1:
            raise WalgError(f"{len(matching)} backups have the user data {user_data}")
        return matching[0]
    if name == LATEST and not backups:
        raise WalgError("no backups found")
    found = backups[-1] if name == LATEST else next((one for one in backups if one.name == name), None)
    if found is None:
        raise WalgError(f"Backup '{name}' does not exist.")
    return found


def write_metadata(storage: Storage, name: str, metadata: dict[str, Any]) -> None:
    """Write what is listed of a backup."""
    storage.write(f"{FOLDER}{name}/metadata.json", json.dumps(metadata).encode())


def show(backups: list[Backup], *, as_json: bool, detail: bool) -> str:
    """Return what ``backup-list`` prints."""
    rows = [_row(backup, detail=detail) for backup in backups]
    if as_json:
        return json.dumps(rows)
    names = ["backup_name", "time", "wal_file_name", "storage_name", *(_LISTED if detail else ())]
    table = [names, *([str(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(names))]
    return "\n".join(" ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in table)


def mark(storage: Storage, name: str, *, is_permanent: bool) -> None:
    """Keep a backup, and those that it needs, from being deleted, or no longer."""
    backup: Backup | None = resolve(read_all(storage), name)
    while backup is not None:
        write_metadata(storage, backup.name, backup.metadata | {"is_permanent": is_permanent})
        backup = read_one(storage, backup.parent) if backup.parent else None


def _row(backup: Backup, *, detail: bool) -> dict[str, Any]:
    row = {
        "backup_name": backup.name,
        "time": backup.metadata["finish_time"],
        "wal_file_name": backup.first_segment,
        "storage_name": "default",
    }
    return row | ({name: backup.metadata[name] for name in _LISTED} if detail else {})
