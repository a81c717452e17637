"""One connection to the server, each use of which ends at an instant of our own clock, whatever network and server do.

libpq knows no deadline for a statement, and the server's own does not help against a server that is frozen or cut off. So the connection
is asynchronous and waited for with poll(2). Knows nothing of tables.
"""

import math
import select
from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg2
from psycopg2 import extensions

from hacore.errors import DcsUnavailableError
from hacore.http.resolver import Resolver
from hacore.model.clock import Clock, Instant
from hacore_dcs_pgtable.settings import TableSettings

_TICK_S: Final = 0.1  # poll(2) does not count suspension: after so long we look at the clock again
_READ: Final = select.POLLIN
_WRITE: Final = select.POLLOUT
Row = tuple[Any, ...]


class RejectedError(DcsUnavailableError):
    """The server answered: it does not know what we ask for, or does not let us."""


class Connection:
    """A connection that is opened when it is needed. Used by one thread.

    :param limit_s: when the server gives up a statement that nobody waits for any more.
    :param greeting: a statement for each new connection.
    """

    def __init__(self, settings: TableSettings, clock: Clock, *, limit_s: float, greeting: str | None = None) -> None:
        self._settings = settings
        self._parameters = parameters(settings, limit_s)
        self._resolver = Resolver(clock)
        self._clock = clock
        self._greeting = greeting
        self._open: extensions.connection | None = None
        self.opened = 0  # how often

    def rows(self, statement: str, values: Sequence[object], *, until: Instant) -> list[Row]:
        """Ask once, and return the answer.

        :raises RejectedError: the server says that it does not do such a thing.
        :raises DcsUnavailableError: no answer before ``until``: nobody knows whether it was done.
        """
        try:
            return self._ask(self._usable(until), statement, values, until)
        except (psycopg2.Error, OSError) as error:
            self.close()  # what it would still answer belongs to a question that nobody asks any more
            kind = RejectedError if isinstance(error, psycopg2.ProgrammingError) else DcsUnavailableError
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise kind(f"{self._settings.host}:{self._settings.port}: {reason}") from error

    def sleep(self, payload: str, *, until: Instant, interrupt: int) -> None:
        """Wait for a notification with this payload, the end of the connection, an instant, or a file that becomes readable."""
        connection, poller = self._open, select.poll()
        poller.register(interrupt, _READ)
        if connection is not None:
            poller.register(connection.fileno(), _READ)
        while connection is None or not _is_told(connection, payload):
            ready = poller.poll(_milliseconds(until - self._clock.now()))
            if not ready or any(file == interrupt for file, _ in ready) or self._has_ended():
                return

    def close(self) -> None:
        """Drop the connection. A server that does not answer is not waited for."""
        connection, self._open = self._open, None
        if connection is not None:
            connection.close()

    def _usable(self, until: Instant) -> extensions.connection:
        if self._open is None or self._has_ended():
            self.close()
            self._open = psycopg2.connect(extensions.make_dsn(**{**self._parameters, **self._place(until)}), async_=True)
            self._wait(self._open, until)
            self.opened += 1
            if self._greeting is not None:
                self._ask(self._open, self._greeting, (), until)
        return self._open

    def _place(self, until: Instant) -> Mapping[str, str]:
        """Return where to connect to. libpq would look the name up itself, and wait for a name server without end."""
        now, settings = self._clock.now(), self._settings
        found = self._resolver.addresses(settings.host, settings.port, until=now + (until - now) / 2)
        return {"host": ",".join(settings.host for _ in found), "hostaddr": ",".join(str(address[0]) for _, address in found)}

    def _ask(self, connection: extensions.connection, statement: str, values: Sequence[object], until: Instant) -> list[Row]:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            self._wait(connection, until)
            return cursor.fetchall() if cursor.description is not None else []

    def _wait(self, connection: extensions.connection, until: Instant) -> None:
        while (state := connection.poll()) != extensions.POLL_OK:
            if self._clock.now() >= until:
                raise TimeoutError("no answer in time")
            poller = select.poll()
            poller.register(connection.fileno(), _READ if state == extensions.POLL_READ else _WRITE)
            poller.poll(_milliseconds(min(until - self._clock.now(), _TICK_S)))
        if self._clock.now() > until:
            raise TimeoutError("the answer came too late")

    def _has_ended(self) -> bool:
        """Take in what the server has said unasked, and tell whether it has hung up: a request sent there would be lost without a trace."""
        if self._open is None:
            return True
        poller = select.poll()
        poller.register(self._open.fileno(), _READ)
        try:
            while poller.poll(0):
                self._open.poll()
        except psycopg2.Error:
            return True
        return False


def parameters(settings: TableSettings, limit_s: float) -> Mapping[str, str]:
    """Return what libpq needs to know, but for the place."""
    limit_ms = math.ceil(limit_s * 1000)
    server = {
        "synchronous_commit": "on",  # what was answered, and what others have read, outlives a crash of the server
        "statement_timeout": str(limit_ms),
        "idle_in_transaction_session_timeout": str(limit_ms),
        "client_connection_check_interval": "1000",  # a statement whose client has hung up waits for nothing
    }
    return {
        "port": str(settings.port),
        "dbname": settings.database,
        "user": settings.username,
        **({"password": settings.password} if settings.password is not None else {}),
        **({"sslmode": "verify-full", "sslrootcert": settings.cacert} if settings.cacert is not None else {}),
        "sslcertmode": "disable",  # libpq would look for one of ours in a home directory that the agent need not have
        "target_session_attrs": "read-write",  # a standby of that server would answer with the past
        "gssencmode": "disable",  # its negotiation is not asynchronous
        "application_name": "hacore",
        "client_encoding": "UTF8",
        "options": " ".join(f"-c {name}={value}" for name, value in server.items()),
    }


def _is_told(connection: extensions.connection, payload: str) -> bool:
    told = [notify.payload for notify in connection.notifies]
    connection.notifies.clear()
    return payload in told


def _milliseconds(seconds: float) -> int:
    return max(math.ceil(seconds * 1000), 0)
