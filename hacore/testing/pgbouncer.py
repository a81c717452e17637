"""A real PgBouncer of a test's own, in transaction mode, on a free port of the loopback."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg2

from hacore.testing.faults.freezer import freeze, thaw
from hacore.testing.ports import Ports
from hacore.testing.servers import locate
from hacore.testing.waiting import wait_for
from hacore.testing.workdir import give_away, server_user

_READY_S: Final = 20.0
_SETTINGS: Final = {
    "auth_type": "trust",
    "pool_mode": "transaction",
    "max_client_conn": "200",
    "default_pool_size": "20",
    "server_login_retry": "1",
    "ignore_startup_parameters": "extra_float_digits,options",
    "log_connections": "0",
    "log_disconnections": "0",
}


class PgBouncer:
    """One process. Anybody is let in under any name that ``users`` has; ``admin`` may use the console."""

    def __init__(
        self, directory: Path, port: int, *, users: tuple[str, ...] = ("postgres",), settings: Mapping[str, str] | None = None
    ) -> None:
        self.directory, self.port = directory, port
        self.databases = directory / "databases.ini"
        self._users, self._settings = users, {**_SETTINGS, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def console(self) -> str:
        """How its console is reached."""
        return f"host=127.0.0.1 port={self.port} user={self._users[0]}"

    def conninfo(self, database: str) -> str:
        """How a client reaches a database."""
        return f"host=127.0.0.1 port={self.port} user={self._users[0]} dbname={database}"

    def prepare(self) -> None:
        """Write its files; the databases are to be somebody else's to write."""
        users = self.directory / "users.txt"
        users.write_text("".join(f'"{name}" ""\n' for name in self._users))
        settings = {
            **self._settings,
            "listen_addr": "127.0.0.1",
            "listen_port": str(self.port),
            "unix_socket_dir": str(self.directory),
            "auth_file": str(users),
            "admin_users": self._users[0],
            "pidfile": str(self.directory / "pgbouncer.pid"),
        }
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        (self.directory / "pgbouncer.ini").write_text(f"[databases]\n%include {self.databases}\n[pgbouncer]\n{lines}")
        if not self.databases.exists():
            self.databases.write_text("[databases]\n")
            give_away(self.databases)
        for path in (users, self.directory / "pgbouncer.ini"):
            give_away(path)

    def start(self) -> None:
        """Start, and wait until its console answers."""
        user = server_user()
        with (self.directory / "pgbouncer.log").open("ab") as log:
            words = [str(locate("pgbouncer").program("pgbouncer")), str(self.directory / "pgbouncer.ini")]
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=user, group=user, env={"PATH": os.defpath}
            )
        wait_for(self._answers, "PgBouncer answers", deadline_s=_READY_S)

    def ask(self, command: str) -> list[tuple[Any, ...]]:
        """Run a command on its console, as a person does."""
        connection = psycopg2.connect(f"{self.console} dbname=pgbouncer", connect_timeout=5)
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(command)
            return list(cursor.fetchall()) if cursor.description is not None else []

    def freeze(self) -> None:
        """Let it stand still."""
        if self._process is not None:
            freeze(self._process.pid)

    def thaw(self) -> None:
        """Let it go on."""
        if self._process is not None and self._process.poll() is None:
            thaw(self._process.pid)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(self._process.pid).kill()
            self._process.wait()

    def _answers(self) -> bool:
        try:
            return bool(self.ask("SHOW VERSION"))
        except psycopg2.Error:
            if self._process is None or self._process.poll() is not None:
                raise
            return False


@contextlib.contextmanager
def pgbouncer(directory: Path, *, users: tuple[str, ...] = ("postgres",), settings: Mapping[str, str] | None = None) -> Iterator[PgBouncer]:
    """Start a PgBouncer in an empty directory, and end it."""
    with Ports() as ports:
        one = PgBouncer(directory, ports.take(), users=users, settings=settings)
        one.prepare()
        one.start()
        try:
            yield one
        finally:
            one.kill()
