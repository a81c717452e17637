"""The routers of the part ``routes``: HAProxy with our example's text in three readings, and PgBouncer."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import hacore_router_haproxy
from hacore.testing.mixed import SUPERUSER_PASSWORD, MixedNode
from hacore.testing.pgbouncer import PgBouncer, pgbouncer
from hacore.testing.ports import Ports
from hacore.testing.servers import locate
from hacore.testing.waiting import wait_for
from hacore.testing.workdir import give_away, server_user

EXAMPLE: Final = Path(__file__).parents[1] / "examples" / "haproxy" / "haproxy.cfg"
HOLD: Final = Path(hacore_router_haproxy.__file__).with_name("hacore-hold.lua")
OURS: Final = "inter 1s fastinter 300ms downinter 500ms fall 2 rise 1"
USUAL: Final = "inter 3s fall 3 rise 2"
CREDENTIALS: Final = f"user=postgres password={SUPERUSER_PASSWORD}"


@dataclass(frozen=True, kw_only=True)
class Haproxy:
    """One that runs: its port for writes and its runtime socket."""

    port: int
    socket: Path

    @property
    def dsn(self) -> str:
        return f"host=127.0.0.1 port={self.port} {CREDENTIALS} dbname=postgres"


def documented(text: str) -> str:
    """Pull, with the checks that we document."""
    return text


def usual(text: str) -> str:
    """Pull, with the checks that most sites have."""
    return replaced(text, OURS, USUAL)


def pushed(text: str) -> str:
    """The documented text with what the plugin's page adds for a configuration of one's own."""
    text = replaced(text, "global\n", f"global\n    lua-load-per-thread {HOLD}\n")
    hold = "    tcp-request inspect-delay 11s\n    tcp-request content lua.hacore_hold primary 10\n"
    token = "    server hacore-token hacore-token.invalid:1 disabled no-check init-addr last,0.0.0.0\n"  # noqa: S105 - a fencing token's place
    text = replaced(text, "listen primary\n    bind :5000\n", f"listen primary\n    bind :5000\n{hold}{token}")
    return replaced(text, " check port 8008\n", " check port 8008 disabled\n")


def replaced(text: str, old: str, new: str) -> str:
    assert old in text, old
    return text.replace(old, new)


@contextlib.contextmanager
def haproxy(directory: Path, nodes: Mapping[str, MixedNode], reading: Callable[[str], str]) -> Iterator[Haproxy]:
    """Start one before these nodes, in a directory that it makes, as the user of the agents, who have to reach its socket."""
    directory.mkdir()
    give_away(directory)
    with Ports() as ports:
        one = Haproxy(port=ports.take(), socket=directory / "admin.sock")
        text = reading(EXAMPLE.read_text())
        for old, new in (("/run/haproxy/", f"{directory}/"), ("bind :5000\n", f"bind 127.0.0.1:{one.port}\n")):
            text = replaced(text, old, new)
        text = replaced(text, "bind :5001\n", f"bind 127.0.0.1:{ports.take()}\n")
        for number, node in enumerate(nodes.values(), start=1):
            theirs = f"server node{number} 10.0.0.{number}:5432 check port 8008"
            text = replaced(text, theirs, f"server {node.name} 127.0.0.1:{node.pg_port} check port {node.rest_port}")
        config = directory / "haproxy.cfg"
        config.write_text(text)
        user = server_user()
        with (directory / "haproxy.log").open("ab") as log:
            command = [str(word) for word in (locate("haproxy").program("haproxy"), "-db", "-f", config)]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=user, group=user)
        try:
            wait_for(one.socket.exists, "HAProxy listens")
            yield one
        finally:
            process.terminate()
            process.wait(10)


@contextlib.contextmanager
def pooler(directory: Path, behind: Haproxy | None = None) -> Iterator[PgBouncer]:
    """Start a PgBouncer in a directory that it makes: before a HAProxy, or told by the plugin."""
    directory.mkdir()
    give_away(directory)
    databases = directory / "databases.ini"
    if behind is not None:
        databases.write_text(f"[databases]\npostgres = host=127.0.0.1 port={behind.port} {CREDENTIALS}\n")
        give_away(databases)
    with pgbouncer(directory) as one:
        yield one
