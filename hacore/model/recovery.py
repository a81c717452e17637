"""Where a recovery from a backup shall end (integrations reference 5; PostgreSQL documentation 20.5.6, "Recovery Target")."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hacore.model.lsn import Lsn


class TargetKind(StrEnum):
    """What a target is told by."""

    LATEST = "latest"  # the end of the archive
    TIME = "time"
    LSN = "lsn"
    XID = "xid"
    NAME = "name"  # of a restore point (``pg_create_restore_point``)
    IMMEDIATE = "immediate"  # as soon as the backup is consistent


class TargetAction(StrEnum):
    """What the server does at the target."""

    PROMOTE = "promote"
    PAUSE = "pause"
    SHUTDOWN = "shutdown"


LATEST_TIMELINE = "latest"
CURRENT_TIMELINE = "current"  # that of the backup


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryTarget:
    """A point in the history of a cluster. Only the field of its own kind is set."""

    kind: TargetKind = TargetKind.LATEST
    time: datetime | None = None  # with its zone
    lsn: Lsn | None = None
    xid: int | None = None
    name: str | None = None
    inclusive: bool = True  # what stands at the point itself is replayed, too
    timeline: str = LATEST_TIMELINE  # ``latest``, ``current`` or a number
    action: TargetAction = TargetAction.PROMOTE

    def __str__(self) -> str:
        match self.kind:
            case TargetKind.TIME:
                return "" if self.time is None else self.time.isoformat()
            case TargetKind.LSN | TargetKind.XID | TargetKind.NAME:
                value = {TargetKind.LSN: self.lsn, TargetKind.XID: self.xid, TargetKind.NAME: self.name}[self.kind]
                return f"{self.kind}:{value}"
            case _:
                return str(self.kind)
