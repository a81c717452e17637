"""A real PostgreSQL behind a proxy, with the table in it, for the tests of this store: killed, frozen, restored from outside."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from hacore.testing.faults.freezer import frozen
from hacore.testing.faults.proxy import TcpProxy
from hacore.testing.ports import Ports
from hacore.testing.servers import locate
from hacore.testing.workdir import server_user, work_directory

PASSWORD = "not for the log"
DEADLINE_S = 60
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",  # no machine is lost here, only processes
    "shared_buffers": "16MB",
    "max_connections": "50",
    "ssl": "on",
}
CERTIFICATE = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=store")


class TableServer:
    """One server. Agents are told of the proxy; what a person or a fault does goes straight to the server."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.port = port
        self.proxy = TcpProxy(("127.0.0.1", port))

    @property
    def certificate(self) -> Path:
        """Signed by itself, so that it is its own authority."""
        return self.data / "server.crt"

    def create(self) -> None:
        self.run(program("initdb"), "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync", "-D", str(self.data))
        self.certify(self.certificate, self.data / "server.key")
        settings = {**SETTINGS, "port": str(self.port), "unix_socket_directories": str(self.directory)}
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        self.start()
        self.by_hand(f"CREATE ROLE hacore LOGIN PASSWORD '{PASSWORD}'", database="postgres")
        self.by_hand("CREATE DATABASE hacore", database="postgres")
        schema = subprocess.run([sys.executable, "-m", "hacore_dcs_pgtable"], capture_output=True, timeout=DEADLINE_S, check=True).stdout
        where = ("--host", str(self.directory), "--port", str(self.port), "--username", self.owner, "hacore")
        self.run(program("psql"), "--quiet", "--set", "agent=hacore", "--set", "ON_ERROR_STOP=1", *where, given=schema)

    def certify(self, certificate: Path, key: Path) -> None:
        names = ("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-addext", "basicConstraints=critical,CA:TRUE")
        self.run(Path("/usr/bin/openssl"), "req", *CERTIFICATE, *names, "-out", str(certificate), "-keyout", str(key))

    @property
    def owner(self) -> str:
        """The superuser that initdb made."""
        return server_user() or psutil.Process().username()

    def section(self) -> dict[str, Any]:
        """The store's section in a configuration."""
        return {"postgres_table": {"host": "127.0.0.1", "port": self.proxy.port, "password": PASSWORD, "cacert": str(self.certificate)}}

    def start(self) -> None:
        self.run(program("pg_ctl"), "start", "--silent", "--wait", "-D", str(self.data), "-l", str(self.directory / "server.log"))

    def kill(self) -> None:
        """End it at once, without a checkpoint: a power failure without the loss of the machine."""
        self.run(program("pg_ctl"), "stop", "--silent", "--mode=immediate", "-D", str(self.data))

    def close(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self.kill()
        self.proxy.close()

    def connect(self, database: str = "hacore") -> Any:
        """A session of the owner, each statement of which is a transaction."""
        connection = psycopg2.connect(host=str(self.directory), port=self.port, user=self.owner, dbname=database, connect_timeout=5)
        connection.autocommit = True
        return connection

    def by_hand(self, statement: str, *values: object, database: str = "hacore") -> list[tuple[Any, ...]]:
        with contextlib.closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall()) if cursor.description is not None else []

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        self.kill()
        yield
        self.start()

    @contextlib.contextmanager
    def stalled(self) -> Iterator[None]:
        """Freeze the whole server: it accepts connections, as the kernel does that, and never answers."""
        postmaster = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
        with frozen(postmaster.pid), frozen(*(child.pid for child in postmaster.children(recursive=True))):
            yield

    def save(self) -> Path:
        """Take a copy as everybody takes it."""
        copy = self.directory / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        where = ("--host", str(self.directory), "--port", str(self.port), "--username", self.owner)
        self.run(program("pg_basebackup"), "--checkpoint=fast", "--wal-method=fetch", "--no-sync", "-D", str(copy), *where)
        return copy

    def restore(self, copy: Path) -> None:
        """Put the copy in the place of the server."""
        self.kill()
        shutil.rmtree(self.data)
        copy.rename(self.data)
        self.start()

    def run(self, path: Path, *arguments: str, given: bytes | None = None) -> None:
        user, clean = server_user(), {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        with (self.directory / "commands.log").open("ab") as log:  # no pipe: the server would inherit it
            subprocess.run(
                [str(path), *arguments],
                input=given,
                stdin=subprocess.DEVNULL if given is None else None,
                stdout=log,
                stderr=log,
                env=clean,
                cwd=self.directory,
                user=user,
                group=user,
                timeout=DEADLINE_S,
                check=True,
            )


def program(name: str) -> Path:
    return locate("postgresql").program(name)


@contextlib.contextmanager
def serving() -> Iterator[TableServer]:
    with work_directory("pgtable-") as directory, Ports() as ports:
        server = TableServer(directory.path, ports.take())
        try:
            server.create()
            yield server
        finally:
            server.close()
