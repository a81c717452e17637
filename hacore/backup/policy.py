"""What the cluster's dynamic configuration says about its backups, checked."""

from dataclasses import dataclass
from enum import StrEnum

from hacore.backup.retention import Retention
from hacore.backup.schedule import Schedule
from hacore.interfaces import BackupKind


class Prefer(StrEnum):
    """Where backups are made."""

    STANDBY = "standby"  # else on the leader
    PRIMARY = "primary"
    STANDBY_ONLY = "standby_only"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPolicy:
    """Section ``hacore.backup``. ``None``: not scheduled; nothing expires by itself."""

    schedule: Schedule | None = None
    verify: Schedule | None = None
    kind: BackupKind = BackupKind.AUTO
    prefer: Prefer = Prefer.STANDBY
    max_duration_s: float = 86400.0
    retention: Retention | None = None
