"""One plain PostgreSQL server of a test's own, without any of hacore: what backup tools, archives and pollers are tried on.

with plain_server() as server:
    server.query("CREATE TABLE t (i int)")
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg2

from hacore.hookspecs import ArchiveRequest, BackupSite, PluginContext, ReplicaRequest
from hacore.interfaces import Identity
from hacore.model.clock import BootClock
from hacore.model.lsn import Lsn
from hacore.testing.ports import Ports
from hacore.testing.servers import locate
from hacore.testing.workdir import server_user, work_directory

DEADLINE_S: Final = 120.0
_PROGRAMS: Final = ("postgres", "initdb", "pg_ctl", "pg_basebackup", "pg_rewind", "pg_controldata", "pg_verifybackup", "psql")
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",  # no machine is lost here, only processes
    "shared_buffers": "16MB",
    "wal_level": "replica",
    "max_wal_senders": "10",
    "hot_standby": "on",
}


class PlainServer:
    """A server in a directory of its own, reached by its socket there, and at 127.0.0.1, without a password."""

    def __init__(self, directory: Path, port: int, *, kind: str = "postgresql") -> None:
        self.directory = directory
        self.data = directory / "data"
        self.port = port
        self._kind = kind

    @property
    def owner(self) -> str:
        """The user who runs it, and its superuser."""
        return server_user() or psutil.Process().username()

    @property
    def system_id(self) -> str:
        """Its system identifier."""
        return str(self.query("SELECT system_identifier FROM pg_control_system()")[0][0])

    @property
    def major_version(self) -> int:
        """Its major version."""
        return int((self.data / "PG_VERSION").read_text())

    @property
    def conninfo(self) -> str:
        """How a superuser reaches it by TCP."""
        return f"host=127.0.0.1 port={self.port} user={self.owner} dbname=postgres"

    @property
    def environment(self) -> dict[str, str]:
        """What a program gets that works for it."""
        return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "PGHOST": str(self.directory), "PGPORT": str(self.port), "PGUSER": self.owner}

    def create(self, settings: Mapping[str, str] | None = None) -> None:
        """Make the data directory and start."""
        self.run(self.program("initdb"), "--auth=trust", "--encoding=UTF8", f"--username={self.owner}", "--no-sync", "-D", self.data)
        self.configure({**_SETTINGS, "port": str(self.port), "unix_socket_directories": str(self.directory), **(settings or {})})
        self.start()

    def configure(self, settings: Mapping[str, str]) -> None:
        """Add settings, which count from the next start or reload."""
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in settings.items())

    def program(self, name: str) -> Path:
        """Path of one of its programs."""
        return locate(self._kind).program(name)

    def programs(self) -> dict[str, str]:
        """Paths of its programs, as requests to plugins name them."""
        directory = locate(self._kind).directory
        return {name: str(directory / name) for name in _PROGRAMS if (directory / name).exists()}

    def start(self) -> None:
        """Start, and wait until it answers."""
        log = self.directory / "server.log"
        self.run(self.program("pg_ctl"), "start", "--silent", "--wait", "-t", int(DEADLINE_S), "-D", self.data, "-l", log)

    def reload(self) -> None:
        """Read the settings again."""
        self.run(self.program("pg_ctl"), "reload", "--silent", "-D", self.data)

    def stop(self, mode: str = "fast") -> None:
        """Stop, and wait for its end; ``immediate`` is a power failure without the loss of the machine."""
        self.run(self.program("pg_ctl"), "stop", "--silent", f"--mode={mode}", "-t", int(DEADLINE_S), "-D", self.data)

    def close(self) -> None:
        """End it, whatever it does."""
        if (self.data / "postmaster.pid").exists():
            self.stop("immediate")

    def query(self, statement: str, *values: object, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as the superuser; its rows."""
        connection = psycopg2.connect(host=str(self.directory), port=self.port, user=self.owner, dbname=database, connect_timeout=10)
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall()) if cursor.description is not None else []

    def switch_wal(self) -> str:
        """Fill the current segment, and return its name: it is due to be archived."""
        ((name,),) = self.query("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
        self.query("SELECT pg_logical_emit_message(true, 'test', 'something to write')")
        self.query("SELECT pg_switch_wal()")
        return str(name)

    def run(self, *words: object, environment: Mapping[str, str] | None = None) -> None:
        """Run a program as its user; what it says stands in ``commands.log``.

        :raises subprocess.CalledProcessError: it failed.
        """
        user = server_user()
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        with (self.directory / "commands.log").open("ab") as log:  # no pipe: a server that is started would inherit it
            subprocess.run(
                [str(word) for word in words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**clean, **(environment or {})},
                cwd=self.directory,
                user=user,
                group=user,
                timeout=DEADLINE_S,
                check=True,
            )

    def context(self, scope: str = "kit", member: str = "a") -> PluginContext:
        """Return where a plugin of this server's node would be."""
        return PluginContext(scope=scope, namespace="/service", member=member, clock=BootClock())

    def backup_site(self, context: PluginContext | None = None) -> BackupSite:
        """Return this server as backup plugins are told of it."""
        return BackupSite(
            context=context or self.context(),
            system_id=self.system_id,
            major_version=self.major_version,
            data_dir=str(self.data),
            socket_dir=str(self.directory),
            port=self.port,
            superuser=self.owner,
            programs=self.programs(),
            environment=self.environment,
        )

    def replica_request(self, method: str, data_dir: Path) -> ReplicaRequest:
        """Return the wish for a standby of this server as replica plugins are told of it: the tool alone can make it."""
        ((lsn,),) = self.query("SELECT pg_current_wal_lsn()")
        return ReplicaRequest(
            context=self.context(),
            method=method,
            source=None,
            data_dir=str(data_dir),
            system_id=self.system_id,
            major_version=self.major_version,
            leader_lsn=Lsn.parse(lsn),
            environment={"PATH": "/usr/bin:/bin"},
        )

    def archive_request(self, context: PluginContext | None = None, *, system_id: str | None = None) -> ArchiveRequest:
        """Return this server as archive plugins are told of it."""
        context = context or self.context()
        return ArchiveRequest(
            context=context,
            identity=Identity(system_id=system_id or self.system_id, major_version=self.major_version, scope=context.scope, timeline=1),
            data_dir=str(self.data),
            socket_dir=str(self.directory),
            port=self.port,
            superuser=self.owner,
            environment=self.environment,
        )


@contextlib.contextmanager
def plain_server(settings: Mapping[str, str] | None = None, *, kind: str = "postgresql") -> Iterator[PlainServer]:
    """Start a server, and end it with everything of it."""
    with work_directory("plain-") as directory, Ports() as ports:
        server = PlainServer(directory.path, ports.take(), kind=kind)
        try:
            server.create(settings)
            yield server
        finally:
            server.close()
