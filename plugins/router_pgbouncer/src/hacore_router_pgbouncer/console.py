"""The admin console of one PgBouncer (its manual, "Admin console"): commands with a deadline, whatever has become of the process.

A command that is waited for no longer goes on there: a PAUSE whose connection has gone stays in force.
"""

import os
import select
import socket
from collections.abc import Mapping
from typing import Any, Final

import psycopg2
from psycopg2 import extensions

from hacore.errors import PluginUnavailableError
from hacore.http.resolver import Resolver
from hacore.model.clock import BootClock, Clock, Instant
from hacore_router_pgbouncer.hosts import is_one_machine, with_addresses

_DEFAULTS: Final[Mapping[str, str]] = {"dbname": "pgbouncer", "user": "pgbouncer", "host": "/run/postgresql", "port": "6432"}

Row = Mapping[str, Any]


class CommandRefusedError(PluginUnavailableError):
    """The console has answered that it will not."""


class Console:
    """One session, opened when it is needed. Used from one thread at a time."""

    def __init__(self, conninfo: str, password: str | None, timeout_s: float) -> None:
        words = {**_DEFAULTS, **extensions.parse_dsn(conninfo)}
        self.name = f"{words['host']}:{words['port']}"
        self.is_here = True  # as of the session: on this machine
        self._words = words if password is None else {**words, "password": password}
        self._timeout_s = timeout_s
        self._clock: Clock = BootClock()
        self._resolver = Resolver(self._clock)
        self._connection: Any = None
        self._cursor: Any = None

    def command(self, text: str) -> tuple[Row, ...]:
        """Run one command and return its rows by the names of their columns, which move between versions.

        :raises CommandRefusedError: PgBouncer said no.
        :raises PluginUnavailableError: it did not answer in time.
        """
        self.begin(text)
        return self.finish(self._timeout_s)

    def begin(self, text: str) -> None:
        """Send a command without waiting for its end.

        :raises PluginUnavailableError: the console cannot be reached.
        """
        until = self._clock.now() + self._timeout_s
        try:
            if self._connection is None or self._connection.closed:
                self._open(until)
            self._cursor.execute(text)
        except psycopg2.Error as error:
            self.close()
            raise PluginUnavailableError(f"{self.name}: {_said(error)}") from error

    def is_done(self, within_s: float) -> bool:
        """Tell whether the command that was begun has ended, waiting for it no longer than this.

        :raises CommandRefusedError: PgBouncer said no.
        :raises PluginUnavailableError: the connection broke.
        """
        try:
            return self._poll(self._clock.now() + within_s)
        except psycopg2.Error as error:
            answered = error.pgcode is not None or (self._connection is not None and not self._connection.closed)
            self.close()
            raise (CommandRefusedError if answered else PluginUnavailableError)(f"{self.name}: {_said(error)}") from error

    def finish(self, within_s: float) -> tuple[Row, ...]:
        """Wait for the end of the command that was begun, and return its rows."""
        if not self.is_done(within_s):
            self.close()
            raise PluginUnavailableError(f"{self.name}: no answer within {within_s:g} s")
        if self._cursor.description is None:
            return ()
        names = [column.name for column in self._cursor.description]
        return tuple(dict(zip(names, row, strict=True)) for row in self._cursor.fetchall())

    def close(self) -> None:
        """Let the session go. What was begun goes on there."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._cursor = None

    def _open(self, until: Instant) -> None:
        try:
            words = with_addresses(self._words, self._resolver, until=until)
        except OSError as error:
            raise PluginUnavailableError(f"{self.name}: {error.strerror or error}") from error
        self._connection = psycopg2.connect(extensions.make_dsn(**words), async_=True)
        self._wait(until)
        self.is_here = _is_here(self._connection.fileno())
        self._cursor = self._connection.cursor()

    def _wait(self, until: Instant) -> None:
        if not self._poll(until):
            self.close()
            raise PluginUnavailableError(f"{self.name}: no answer within {self._timeout_s:g} s")

    def _poll(self, until: Instant) -> bool:
        while (state := self._connection.poll()) != extensions.POLL_OK:
            left_s = max(0.0, until - self._clock.now())
            fd = self._connection.fileno()
            reads, writes = ([fd], []) if state == extensions.POLL_READ else ([], [fd])
            if not any(select.select(reads, writes, [], left_s)):
                return False
        return True


def _is_here(fd: int) -> bool:
    """Tell whether both ends of a connection are on this machine."""
    with socket.socket(fileno=os.dup(fd)) as connection:
        return connection.family == socket.AF_UNIX or is_one_machine(connection.getsockname()[0], connection.getpeername()[0])


def _said(error: psycopg2.Error) -> str:
    return " ".join(str(error).split()) or type(error).__name__
