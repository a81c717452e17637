"""A connection to PostgreSQL whose every call ends at a deadline kept on this side.

A query to a stopped backend never returns and ignores statement_timeout, so the connection is asynchronous and waited for with poll(2).
A connection that missed a deadline is dropped: what it would still answer belongs to a question nobody asks any more.
"""

import contextlib
import math
import select
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import psycopg2
from psycopg2 import extensions

from hacore.errors import HacoreError, PostgresUnreachableError

APPLICATION_NAME: Final = "hacore"
Row = tuple[Any, ...]
_CHECK_S: Final = 0.1
_READ: Final = select.POLLIN | select.POLLERR | select.POLLHUP
_WRITE: Final = select.POLLOUT | select.POLLERR | select.POLLHUP


class QueryError(PostgresUnreachableError):
    """The server answered that it does not do it. ``sqlstate`` as in the documentation's appendix A."""

    def __init__(self, message: str, sqlstate: str | None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class Connection:
    """One session, opened when it is first needed and again after it was lost. Used by one thread at a time."""

    def __init__(self, dsn: Mapping[str, str], *, statement_timeout_s: float | None = None) -> None:
        limit_ms = 0 if statement_timeout_s is None else max(round(statement_timeout_s * 1000), 1)
        options = f"-c search_path=pg_catalog -c statement_timeout={limit_ms}"
        self._dsn = {"application_name": APPLICATION_NAME, **dsn}
        if "replication" not in dsn:
            self._dsn["options"] = options
        self._connection: extensions.connection | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether there is a session that has not been seen to fail."""
        return self._connection is not None and self._connection.closed == 0

    @property
    def backend_pid(self) -> int | None:
        """The server process of the session."""
        return self._connection.info.backend_pid if self._connection is not None and self.is_open else None

    def query(
        self, sql: str, parameters: Sequence[object] | None = None, *, timeout_s: float, check: Callable[[], None] | None = None
    ) -> list[Row]:
        """Run one statement and return its rows; an empty list for a statement without any.

        A session that was kept may be of a server before this one: where it turns out to be lost, a new one is asked, once.

        :param check: called every 100 ms meanwhile; what it raises ends the wait, and the session.
        :raises QueryError: the server refused the statement.
        :raises PostgresUnreachableError: no answer in time, or the session was lost; the session is gone then.
        """
        deadline, was_kept = time.monotonic() + timeout_s, self.is_open
        try:
            return self._run(sql, parameters, deadline, check)
        except QueryError:
            raise
        except PostgresUnreachableError:
            if not was_kept or time.monotonic() >= deadline:
                raise
        return self._run(sql, parameters, deadline, check)

    def _run(self, sql: str, parameters: Sequence[object] | None, deadline: float, check: Callable[[], None] | None) -> list[Row]:
        connection = self._opened(deadline)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters)
                self._wait(connection, deadline, check)
                return cursor.fetchall() if cursor.description is not None else []
        except psycopg2.Error as error:
            if error.pgcode is None or connection.closed or error.pgcode.startswith(("57P0", "08")):
                self.close()
                raise PostgresUnreachableError(f"PostgreSQL: {_first_line(error)}") from error
            raise QueryError(f"PostgreSQL: {_first_line(error)}", error.pgcode) from error
        except HacoreError:
            self.close()
            raise

    def encrypted(self, user: str, password: str, *, timeout_s: float) -> str:
        """Return what the server stores of a password (SCRAM), so that the password itself is never in a statement."""
        connection = self._opened(time.monotonic() + timeout_s)
        return extensions.encrypt_password(password, user, scope=connection, algorithm="scram-sha-256")

    def close(self) -> None:
        """Drop the session; a server that does not answer is not waited for."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg2.Error):
                connection.close()

    def _opened(self, deadline: float) -> extensions.connection:
        if self._connection is not None and self._connection.closed == 0:
            return self._connection
        try:
            connection = psycopg2.connect(extensions.make_dsn(**self._dsn), async_=True)
        except psycopg2.Error as error:
            raise PostgresUnreachableError(f"PostgreSQL: {_first_line(error)}") from error
        try:
            self._wait(connection, deadline)
        except psycopg2.Error as error:
            connection.close()
            raise PostgresUnreachableError(f"PostgreSQL: {_first_line(error)}") from error
        except PostgresUnreachableError:
            connection.close()
            raise
        self._connection = connection
        return connection

    @staticmethod
    def _wait(connection: extensions.connection, deadline: float, check: Callable[[], None] | None = None) -> None:
        while (state := connection.poll()) != extensions.POLL_OK:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise PostgresUnreachableError("PostgreSQL: no answer in time")
            poller = select.poll()
            poller.register(connection.fileno(), _READ if state == extensions.POLL_READ else _WRITE)
            poller.poll(math.ceil((left_s if check is None else min(left_s, _CHECK_S)) * 1000))
            if check is not None:
                check()


def _first_line(error: psycopg2.Error) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
