"""What stands in the section ``plugins: {walg: ...}``, checked and frozen."""

from dataclasses import dataclass, field
from typing import Final

PREFIXES: Final = ("WALG_FILE_PREFIX", "WALG_S3_PREFIX", "WALG_SSH_PREFIX", "WALG_GS_PREFIX", "WALG_AZ_PREFIX", "WALG_SWIFT_PREFIX")


@dataclass(frozen=True, slots=True, kw_only=True)
class WalgSettings:
    """How ``wal-g`` is found, what it is told, and how long it may take."""

    binary: str = "wal-g"  # a path, or a name that is looked up in PATH
    config_file: str | None = None  # what WAL-G calls ``--config``
    envdir: str | None = None  # a directory with a file for each variable: over the file
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # over both
    threshold_megabytes: int = 10240  # of WAL that a new standby would have to replay
    threshold_backup_size_percentage: int = 30  # the same, measured by the size of the backup
    prefetch_dir: str | None = None  # ``None``: beside the data directory
    push_timeout_s: float = 300.0  # for one segment
    fetch_timeout_s: float = 300.0
    query_timeout_s: float = 8.0  # for what is asked of the storage
