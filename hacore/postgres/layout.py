"""Where the files of one server stand. Names only: nothing here looks at the disk."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The paths of one server. ``state_dir`` is ours and stands beside the data directory, never inside (safety.md 4)."""

    data_dir: Path
    config_dir: Path
    state_dir: Path
    base_name: str = "postgresql"

    @cached_property
    def conf(self) -> Path:
        """The configuration that we generate."""
        return self.config_dir / f"{self.base_name}.conf"

    @cached_property
    def base_conf(self) -> Path:
        """The configuration that was there before us; the generated one includes it."""
        return self.config_dir / f"{self.base_name}.base.conf"

    @cached_property
    def hba(self) -> Path:
        """Client authentication."""
        return self.config_dir / "pg_hba.conf"

    @cached_property
    def ident(self) -> Path:
        """User name maps."""
        return self.config_dir / "pg_ident.conf"

    @cached_property
    def auto_conf(self) -> Path:
        """What ALTER SYSTEM writes; always in the data directory."""
        return self.data_dir / "postgresql.auto.conf"

    @cached_property
    def pid_file(self) -> Path:
        """The lock file of a running postmaster."""
        return self.data_dir / "postmaster.pid"

    @cached_property
    def control_file(self) -> Path:
        """The server's own record of its state."""
        return self.data_dir / "global" / "pg_control"

    @cached_property
    def version_file(self) -> Path:
        """Holds the major version."""
        return self.data_dir / "PG_VERSION"

    @cached_property
    def wal_dir(self) -> Path:
        """The write-ahead log."""
        return self.data_dir / "pg_wal"

    @cached_property
    def standby_signal(self) -> Path:
        """Its presence makes a start one as a standby."""
        return self.data_dir / "standby.signal"

    @cached_property
    def recovery_signal(self) -> Path:
        """Its presence makes a start one to a recovery target."""
        return self.data_dir / "recovery.signal"

    @cached_property
    def promote_file(self) -> Path:
        """Its presence at SIGUSR1 ends recovery."""
        return self.data_dir / "promote"

    @cached_property
    def log(self) -> Path:
        """Standard output and error of the server: what it says before its own log works."""
        return self.state_dir / "startup.log"

    def config_files(self) -> tuple[Path, ...]:
        """The files that a person may have edited, in the order in which they are kept."""
        return self.conf, self.base_conf, self.hba, self.ident
