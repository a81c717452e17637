"""The parts of one server under one roof, shared by the loop's thread, which reads, and the worker's, which changes.

It holds the settings in force and the few facts that no process and no file tells. It decides and carries out nothing.
"""

import logging
import os
import pwd
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hacore.config.address import WILDCARD_HOSTS
from hacore.config.postgres_settings import PostgresSettings
from hacore.config.settings import BootstrapSettings, ConnectionSettings
from hacore.errors import DataDirectoryError, PostgresUnreachableError
from hacore.guard.paths import state_dir_of
from hacore.model.node import Upstream
from hacore.postgres.archive_parameters import ArchivePart, archive_part
from hacore.postgres.archiving import ArchiveCall, Archiving
from hacore.postgres.conffile import parse_settings
from hacore.postgres.config_files import ConfigFiles
from hacore.postgres.connection import Connection
from hacore.postgres.conninfo import options_of
from hacore.postgres.controldata import ControlReader
from hacore.postgres.files import read_if_there
from hacore.postgres.history import HistoryReader
from hacore.postgres.launcher import ServerLauncher
from hacore.postgres.layout import Layout
from hacore.postgres.mark import Mark
from hacore.postgres.parameters import TARGETS, Plan, make_plan, recovery_settings, with_retry_interval
from hacore.postgres.passfile import login, write_passfile
from hacore.postgres.processes import Processes
from hacore.postgres.programs import Programs
from hacore.postgres.resolve import Resolver
from hacore.postgres.restore_settings import read_restore_settings
from hacore.postgres.wal_end import WalEndFinder

logger = logging.getLogger(__name__)

NOBODY: Final = Upstream(member=None)
_RESOLVE_S: Final = 1.0
_KEPT_BACK: Final = ("PATRONI_", "HACORE_", "PG", "KUBERNETES_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What only this agent knows of its server."""

    stopping: int | None = None  # postmaster that was told to stop
    start_failed: str | None = None
    settings_wanted: bool = True  # the settings in force may not be those of the files, or of the server


class Instance:
    """One server: its places, programs, processes and files, and the settings in force."""

    def __init__(
        self,
        settings: PostgresSettings,
        *,
        launcher: ServerLauncher,
        bootstrap: BootstrapSettings | None = None,
        state_dir: str | None = None,
    ) -> None:
        self.layout = Layout(
            data_dir=Path(settings.data_dir),
            config_dir=Path(settings.config_dir or settings.data_dir),
            state_dir=Path(state_dir or state_dir_of(settings.data_dir)),
            base_name=settings.config_base_name,
        )
        self.launcher = launcher
        self.bootstrap = bootstrap
        self.programs = Programs(settings.bin_dir, settings.bin_name)
        self.processes = Processes(self.layout)
        self.control = ControlReader(self.layout.data_dir)
        self.histories = HistoryReader(self.layout.wal_dir)
        self.wal_ends = WalEndFinder(self.layout.wal_dir, self.histories)
        self.mark = Mark(self.layout.state_dir)
        self.files = ConfigFiles(self.layout)
        self.archiving = Archiving(self.layout)
        self.writing = threading.Lock()  # held while configuration files are written
        self._resolver = Resolver()
        self._lock = threading.Lock()
        self._settings = settings
        self._notes = Notes()
        self._archive_part: ArchivePart | None = None

    @property
    def settings(self) -> PostgresSettings:
        """The settings in force."""
        return self._settings

    @property
    def notes(self) -> Notes:
        """What only this agent knows."""
        return self._notes

    def note(self, **facts: object) -> None:
        """Change some of the notes."""
        with self._lock:
            self._notes = replace(self._notes, **facts)  # type: ignore[arg-type]  # the names are those of Notes

    def configure(self, settings: PostgresSettings) -> None:
        """Put other settings in force. They reach the server with the next reload or start."""
        if settings == self._settings:
            return
        if (settings.bin_dir, settings.bin_name) != (self._settings.bin_dir, self._settings.bin_name):
            self.programs = Programs(settings.bin_dir, settings.bin_name)
        self._settings = settings
        self.note(settings_wanted=True)

    def archive_by(self, call: ArchiveCall | None, forget: Callable[[], None] = lambda: None) -> None:
        """Reach the archive as ``call`` says, from the next reload or start on; ``None``: there is none.

        :param forget: called where a data directory begins a life of its own: whose the archive is must be asked anew.
        """
        self.archiving.use(call, forget)
        self.note(settings_wanted=True)

    @property
    def wanted_parameters(self) -> dict[str, str]:
        """What the server shall run with, but for recovery, as far as it was written."""
        archive = self._archive_part
        return {**self.settings.parameters, **self.settings.controlled_parameters, **(archive.normal if archive else {})}

    def session(self, *, statement_timeout_s: float | None = None, database: str | None = None) -> Connection:
        """A connection of the superuser to this server, not yet opened."""
        return Connection(self.local_dsn(database), statement_timeout_s=statement_timeout_s)

    def local_dsn(self, database: str | None = None) -> dict[str, str]:
        """Return how this server is reached from here, with the password.

        A running server is asked where it said it listens; a port that waits for a restart is not in force yet.

        :raises PostgresUnreachableError: its address is a name that nobody can look up.
        """
        connection = self.settings.authentication.superuser
        dsn = {**options_of(connection, self.programs.major), **self._place(), "dbname": database or self.settings.database}
        dsn.setdefault("user", superuser_name(connection))
        if connection.password:
            dsn["password"] = connection.password
        if connection.sslpassword:
            dsn["sslpassword"] = connection.sslpassword
        return dsn

    def local_host(self) -> str:
        """Return the host part of the address by which this server is reached from here."""
        place = self._place()
        return place["host"]

    def _place(self) -> dict[str, str]:
        file = self.processes.pid_file()
        port = str(file.port if file and file.port else self.settings.port)
        listen = file.listen_address if file else ",".join(self.settings.listen_addresses)
        socket_dir = file.socket_dir if file else self.settings.parameters.get("unix_socket_directories", "").partition(",")[0].strip()
        if socket_dir and (self.settings.use_unix_socket or not listen):
            return {"host": socket_dir, "port": port}
        host = (listen or "").partition(",")[0].strip() or "localhost"
        if host in WILDCARD_HOSTS:
            return {"host": "::1" if host == "::" else "127.0.0.1", "port": port}
        return {"host": host, "hostaddr": self.address(host), "port": port}

    def address(self, host: str) -> str:
        """Return a numeric address.

        :raises PostgresUnreachableError: none is known in time.
        """
        found = self._resolver.address(host, timeout_s=_RESOLVE_S)
        if found is None:
            raise PostgresUnreachableError(f"{host}: no address is known for this name")
        return found

    def upstream(self) -> Upstream:
        """Return the upstream that the configuration was written for."""
        return self.files.upstream() or NOBODY

    def write_settings(
        self,
        upstream: Upstream | None = None,
        *,
        standby: bool | None = None,
        recovery: Mapping[str, str] | None = None,
    ) -> tuple[Plan, bool]:
        """Write the configuration files for ``upstream`` (``None``: as it is); answers what was written and whether it is new.

        :param standby: what the next start makes of it; ``None``: as the signal file says.
        :param recovery: further recovery settings.
        :raises DataDirectoryError: the disk did not take it.
        """
        with self.writing:
            target = self.upstream() if upstream is None else upstream
            is_standby = self.layout.standby_signal.exists() if standby is None else standby
            plan = self.plan(target, standby=is_standby, recovery=recovery or {})
            for warning in plan.warnings:
                logger.warning("setting not used as it is written", extra={"setting": warning})
            try:
                self._write_passfile(target)
                is_new = self.files.write(plan, target, self.settings.custom_conf)
                is_new |= self.settings.pg_hba is not None and self.files.write_hba(self.settings.pg_hba)
                is_new |= self.settings.pg_ident is not None and self.files.write_ident(self.settings.pg_ident)
            except OSError as error:
                raise DataDirectoryError(f"{self.layout.config_dir}: configuration not written: {error}") from error
        return plan, is_new

    def plan(self, upstream: Upstream, *, standby: bool, recovery: Mapping[str, str]) -> Plan:
        """Lay out the settings in force, and write the programs of the archive that they name."""
        limits: Mapping[str, int] = {}
        if standby and self.control.stamp() is not None:
            limits = self.control.read(self.programs).limits
        usual = recovery_settings(self.settings, upstream, major=self.programs.major, passfile=self.settings.pgpass)
        restore = read_restore_settings(self.layout.state_dir)
        base = parse_settings(read_if_there(self.layout.base_conf) or "")
        archive = self._archive_part = self._write_archive(base)
        wanted = {**with_retry_interval(self.settings, {**base, **restore, **recovery}), **restore, **usual}
        wanted |= {**(archive.recovery if archive else {}), **recovery}
        aims = [name for name in TARGETS if recovery.get(name)]  # beside one that is set, an empty one of another kind is an error
        wanted = {name: value for name, value in wanted.items() if not aims or name not in TARGETS or name in aims}
        return make_plan(self.settings, known=self.programs.parameters, recovery=wanted, limits=limits, archive=archive)

    def _write_archive(self, base: Mapping[str, str]) -> ArchivePart | None:
        """Write the archive's programs, which must stand there before a configuration names them."""
        if not self.archiving.is_wanted or self.control.stamp() is None:
            return None
        wanted = self.archiving.write(self.control.read(self.programs).control)
        return archive_part(self.settings, wanted, base=base, known=self.programs.parameters) if wanted else None

    def _write_passfile(self, upstream: Upstream) -> None:
        connection = self.settings.authentication.replication
        if upstream.host:
            write_passfile(Path(self.settings.pgpass), login(connection, upstream.host, upstream.port))

    def server_environment(self) -> dict[str, str]:
        """Return the server's environment: ours, for archive commands and the like, without what is libpq's or the store's, or a secret."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_KEPT_BACK)}
        return kept | ({"PGKRBSRVNAME": self.settings.krbsrvname} if self.settings.krbsrvname else {})

    def replaced(self) -> None:
        """Forget what was read of the data directory: it is another one now."""
        self.histories.forget()
        self.wal_ends.drop()


def superuser_name(connection: ConnectionSettings) -> str:
    """Return the superuser's name; where none is set, it is that of the operating system's user, as with initdb."""
    return connection.username or pwd.getpwuid(os.geteuid()).pw_name
