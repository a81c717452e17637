"""The server's answers to the loop: its state, one query a turn, and what waits for a restart. It keeps the sessions between turns."""

import logging
import time
from dataclasses import replace
from typing import Final

from hacore.config.postgres_settings import PostgresSettings
from hacore.errors import ConfigError, DataDirectoryError, PostgresUnreachableError
from hacore.model.node import Role, ServerState
from hacore.postgres import pending, query
from hacore.postgres.connection import Connection
from hacore.postgres.instance import Instance
from hacore.postgres.parameters import Change
from hacore.postgres.pidfile import READY, STOPPING
from hacore.postgres.replay_timeline import ReplayTimeline

logger = logging.getLogger(__name__)

_PENDING_EVERY_S: Final = 60.0
_PENDING_AFTER_RELOAD_S: Final = 5.0
_LIMITS: Final = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s::text[])"
_STATEMENT_S: Final = 2.0


class ServerReader:
    """Asks one server. Used by the loop's thread."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._connection: Connection | None = None
        self._dsn: dict[str, str] | None = None
        self._reached: tuple[int | None, PostgresSettings] | None = None  # the postmaster and the settings that the session was made for
        self._pid: int | None = None  # of the postmaster, as looked at last
        self._answered: int | None = None  # postmaster that has answered
        self._replay_timeline = ReplayTimeline()
        self._pending: tuple[Change, ...] = ()
        self._pending_pid: int | None = None  # postmaster that it was read from
        self._pending_due = 0.0
        self._reloaded_at: float | None = None

    @property
    def pending(self) -> tuple[Change, ...]:
        """What waits for a restart, as read last."""
        return self._pending

    def reloaded(self) -> None:
        """Take note that the server reads its files again: what waits for a restart may have changed."""
        self._reloaded_at = time.monotonic()

    def lacks_a_limit(self) -> bool:
        """Tell whether the standby runs with less than its primary of what replay needs, so that PostgreSQL has paused it."""
        try:
            limits = self._instance.control.read(self._instance.programs).limits
            rows = self.session().query(_LIMITS, (list(limits),), timeout_s=_STATEMENT_S)
        except (PostgresUnreachableError, DataDirectoryError):
            return False
        return any(int(setting) < limits[name] for name, setting in rows)

    def close(self) -> None:
        """Drop the sessions."""
        self._replay_timeline.close()
        if self._connection is not None:
            self._connection.close()

    def read(self, pid: int | None, *, timeout_s: float) -> tuple[ServerState, query.Answer | None]:
        """Ask the server of this postmaster; without one, look whether anything is left of it."""
        processes, self._pid = self._instance.processes, pid
        if pid is None:
            return (ServerState.ORPHANED if processes.orphans() else ServerState.STOPPED), None
        file = processes.pid_file()
        status = file.status if file is not None and file.pid == pid else None
        if self._instance.notes.stopping == pid or status == STOPPING:
            return ServerState.STOPPING, None
        if status != READY and self._answered != pid:
            return ServerState.STARTING, None
        try:
            return ServerState.RUNNING, self._query(pid, timeout_s)
        except (PostgresUnreachableError, ConfigError) as error:
            logger.debug("PostgreSQL does not answer", extra={"error": str(error)})
        return ServerState.UNREACHABLE, None

    def _query(self, pid: int, timeout_s: float) -> query.Answer:
        deadline = time.monotonic() + timeout_s
        session = self.session()
        sql = query.statement(self._instance.programs.major)
        try:
            rows = session.query(sql, timeout_s=timeout_s)
        except PostgresUnreachableError:
            if time.monotonic() >= deadline:
                raise
            # Once more: the session was one of a server before this one, or the role changed while it was asked.
            rows = self.session().query(sql, timeout_s=deadline - time.monotonic())
        self._answered = pid
        answer = self._with_replay_timeline(query.parse(rows[0]), deadline)
        if self._is_pending_due(pid):
            self._read_pending(pid, deadline)
        return answer

    def _with_replay_timeline(self, answer: query.Answer, deadline: float) -> query.Answer:
        """Ask for the timeline where the answer does not tell it for sure."""
        if answer.role is Role.PRIMARY or answer.receiver_timeline is not None:
            self._replay_timeline.close()
            return answer
        found = self._replay_timeline.ask(self._instance.local_dsn(), timeout_s=max(deadline - time.monotonic(), 0.05))
        return answer if found is None else replace(answer, timeline=found)

    def session(self) -> Connection:
        """The kept session, unless the server is to be reached otherwise by now: it is another one, or has other settings."""
        pid, settings = self._pid, self._instance.settings
        is_same = self._reached is not None and self._reached[0] == pid and self._reached[1] is settings
        if is_same and self._connection is not None and self._connection.is_open:
            return self._connection
        dsn = self._instance.local_dsn()
        self._reached = (pid, settings)
        if self._connection is None or self._dsn != dsn:
            if self._connection is not None:
                self._connection.close()
            self._connection, self._dsn = self._instance.session(statement_timeout_s=_STATEMENT_S), dsn
        return self._connection

    def _is_pending_due(self, pid: int) -> bool:
        now = time.monotonic()
        just_reloaded = self._reloaded_at is not None and now - self._reloaded_at < _PENDING_AFTER_RELOAD_S
        return just_reloaded or pid != self._pending_pid or now >= self._pending_due

    def _read_pending(self, pid: int, deadline: float) -> None:
        wanted = self._instance.wanted_parameters
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return
        try:
            rows = self.session().query(pending.QUERY, (list(wanted),), timeout_s=left_s)
        except PostgresUnreachableError as error:
            logger.debug("pending restart not known", extra={"error": str(error)})
            return
        self._pending = pending.changes(rows, wanted)
        self._pending_pid = pid
        self._pending_due = time.monotonic() + _PENDING_EVERY_S
