"""Base backups as a tool lists them, and what it answers when it makes, checks or removes some (integrations reference 5 and 14.5)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hacore.model.lsn import Lsn


class BackupKind(StrEnum):
    """How much a backup copies."""

    FULL = "full"
    DIFFERENTIAL = "diff"  # since the last full one
    INCREMENTAL = "incr"  # since the last of any kind
    AUTO = "auto"  # as the tool's settings say; only in a request


class BackupState(StrEnum):
    """Whether a backup can be restored."""

    OK = "ok"
    RUNNING = "running"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """One base backup. ``None``: the tool does not tell. Times have a zone."""

    id: str  # as the tool calls it
    kind: BackupKind = BackupKind.FULL
    state: BackupState = BackupState.OK
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    start_lsn: Lsn | None = None
    stop_lsn: Lsn | None = None
    timeline: int | None = None
    system_id: str | None = None
    major_version: int | None = None
    size_bytes: int | None = None  # of the data directory
    stored_bytes: int | None = None  # in the repository
    parent: str | None = None  # id of the backup without which this one cannot be restored
    is_locked: bool = False  # kept until a person lets it go
    host: str | None = None  # where it was made
    labels: Mapping[str, str] = field(default_factory=dict)  # as given when it was made


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A backup is what it should be, as far as was looked."""

    detail: str = ""  # for people: what was looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What was removed, by id."""

    removed: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """The files of a backup are in place. It has no recovery settings: those are the core's."""
