"""A real HAProxy, and servers behind it that say who they are."""

import contextlib
import csv
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil

from hacore.errors import PluginUnavailableError
from hacore.interfaces import Endpoint, RoutingState
from hacore.testing.conformance.plugin import CONTEXT
from hacore.testing.ports import Ports
from hacore.testing.servers import locate
from hacore.testing.waiting import wait_for
from hacore.testing.workdir import server_user
from hacore_router_haproxy.client import Client
from hacore_router_haproxy.master import Master

ANSWER_S = 0.4  # of a server on this machine; who has not said its name by then was not reached


class Who:
    """A server that says its name to whoever comes, and keeps the connection."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.endpoint = Endpoint(member=name, host="127.0.0.1", port=port)
        self._socket = socket.create_server(("127.0.0.1", port), backlog=200)
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self._open.append(connection)
                threading.Thread(target=self._greet, args=(connection,), daemon=True).start()

    def _greet(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.sendall(f"{self.name}\n".encode())
            while connection.recv(100):
                pass

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        for one in (self._socket, *self._open):
            with contextlib.suppress(OSError):
                one.close()


class Visitor:
    """A connection of a client."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def hears(self, within_s: float = ANSWER_S) -> str | None:
        """The name of who answers; empty: the connection was closed; ``None``: it waits."""
        self._socket.settimeout(within_s)
        try:
            return self._socket.recv(100).decode().strip()
        except TimeoutError:
            return None
        except ConnectionError:
            return ""


def reached(port: int) -> str | None:
    """Who answers a new client; ``None``: nobody does, whether the client waits or is refused."""
    with Visitor(port) as visitor:
        return visitor.hears() or None


def waits(port: int) -> bool:
    """Whether a new client neither reaches a server nor is refused."""
    with Visitor(port) as visitor:
        return visitor.hears() is None


@dataclass(kw_only=True)
class Haproxy:
    """HAProxy with its files in one directory. It is started and stopped by the test."""

    directory: Path
    ports: Ports
    is_given_away: bool = False  # it belongs to the user as whom agents run, and so do its sockets
    primary_port: int = 0
    standby_port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.primary_port, self.standby_port = self.ports.take(), self.ports.take()

    @property
    def config(self) -> Path:
        return self.directory / "haproxy.cfg"

    @property
    def socket(self) -> Path:
        return self.directory / "admin.sock"

    @property
    def master(self) -> Path:
        return self.directory / "master.sock"

    def start(self) -> None:
        with (self.directory / "haproxy.log").open("ab") as log:
            command = [str(word) for word in (locate("haproxy").program("haproxy"), "-W", "-S", self.master, "-f", self.config)]
            user = server_user() if self.is_given_away else None
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=user)
        wait_for(self.is_up, "HAProxy answers", deadline_s=20)

    def is_up(self) -> bool:
        """Whether worker and master answer: the master listens a moment later."""
        with contextlib.suppress(PluginUnavailableError):
            now = CONTEXT.clock.now()
            return "Pid:" in self.ask("show info") and Master(str(self.master)).is_there(clock=CONTEXT.clock, until=now + 3)
        return False

    def ask(self, command: str) -> str:
        return Client(str(self.socket)).ask(command, clock=CONTEXT.clock, until=CONTEXT.clock.now() + 3)

    def stop(self) -> None:
        if self.process is None:
            return
        self.signal(signal.SIGCONT)
        family = self._family()
        self.process.terminate()
        try:
            self.process.wait(10)
        finally:
            for one in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            self.process.wait(10)
            self.process = None

    def signal(self, number: signal.Signals) -> None:
        for one in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(number)

    def _family(self) -> list[psutil.Process]:
        if self.process is None or self.process.poll() is not None:
            return []
        master = psutil.Process(self.process.pid)
        return [*master.children(recursive=True), master]

    def servers(self, backend: str = "hacore_primary") -> dict[str, tuple[str, str]]:
        """Operational and administrative state of each server, as HAProxy's numbers."""
        rows = [line.split() for line in self.ask(f"show servers state {backend}").splitlines()[2:] if line.strip()]
        return {row[3]: (row[5], row[6]) for row in rows}

    def checks(self, server: str) -> str:
        """What the last check of a server for writes found."""
        rows = csv.DictReader(self.ask("show stat hacore_primary 4 -1").lstrip("# ").splitlines())
        return next(row["check_status"] for row in rows if row["svname"] == server)


@contextlib.contextmanager
def behind(ports: Ports, *names: str) -> Iterator[dict[str, Who]]:
    """Servers with these names."""
    servers = {name: Who(name, ports.take()) for name in names}
    try:
        yield servers
    finally:
        for server in servers.values():
            server.close()


def leading(servers: dict[str, Who], leader: str | None, *, me: str = "a", token: int = 5) -> RoutingState:
    """The state in which one leads and all others are standbys, as ``me`` knows it."""
    ends = {name: server.endpoint for name, server in servers.items()}
    return RoutingState(
        token=token,
        revision=1,
        me=ends[me],
        leader=ends[leader] if leader is not None else None,
        leads=me == leader,
        standbys=tuple(end for name, end in ends.items() if name != leader),
        members=tuple(ends.values()),
    )


OWN_CONFIG = """
global
    stats socket {socket} mode 600 level admin
    lua-load {script}
defaults
    mode tcp
    timeout connect 1s
    timeout client 1m
    timeout server 1m
frontend writes
    bind 127.0.0.1:{primary_port}
    tcp-request inspect-delay 11s
    tcp-request content lua.hacore_hold pg_rw 10
    default_backend pg_rw
backend pg_rw
    server hacore-token 0.0.0.0:1 disabled
{servers}
frontend reads
    bind 127.0.0.1:{standby_port}
    default_backend pg_ro
backend pg_ro
{servers}
"""


def own_config(haproxy: Haproxy, script: Path, servers: dict[str, Who]) -> str:
    """A configuration that somebody else keeps."""
    lines = "\n".join(f"    server {name} 127.0.0.1:{one.endpoint.port} disabled" for name, one in servers.items())
    return OWN_CONFIG.format(
        socket=haproxy.socket, script=script, primary_port=haproxy.primary_port, standby_port=haproxy.standby_port, servers=lines
    )


def site_section(haproxy: Haproxy, **more: object) -> dict[str, object]:
    """The section of a plugin that keeps the configuration."""
    config = {
        "path": str(haproxy.config),
        "check_command": f"{locate('haproxy').program('haproxy')} -c -f {{file}}",
        "primary_bind": f"127.0.0.1:{haproxy.primary_port}",
        "standby_bind": f"127.0.0.1:{haproxy.standby_port}",
        "rest_port": "off",
        "socket_options": "mode 600 level admin",
    }
    return {"stats_socket": str(haproxy.socket), "master_socket": str(haproxy.master), "config": config | more}
