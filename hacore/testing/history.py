"""A write load on a real cluster: writers with open sessions to every node, whether it takes writes at the moment or not.

One thread and one open session for each node and writer. A row is acknowledged when the server has said so; unknown when the
connection broke or the deadline passed in between; a statement that the server refused is no attempt. The verdict is
:class:`hacore.testing.verdict.HistoryReport`. It imports no test framework: the demonstration uses it as well.
"""

import select
import threading
import time
import uuid
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg2
from psycopg2 import extensions

from hacore.model.lsn import Lsn
from hacore.testing.verdict import Attempt, HistoryReport, longest_gap_ms

__all__ = ["HistoryReport", "LoadProgress", "Session", "WriteLoad", "boot_s"]

TABLE: Final = "hacore_history"
_CREATE: Final = f"CREATE TABLE IF NOT EXISTS {TABLE} (writer text, seq bigint, node text, PRIMARY KEY (writer, seq))"
_INSERT: Final = f"INSERT INTO {TABLE} VALUES (%s, %s, %s) RETURNING pg_current_wal_insert_lsn()::text"  # noqa: S608 - a constant
_CONNECT_DEADLINE_S: Final = 3.0


def boot_s() -> float:
    """Seconds of the boot-time clock, which every instant of a report counts."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class DeadlinePassedError(Exception):
    """The server did not answer in time."""


class Session:
    """One connection that never waits longer than it is told to, whatever has become of the server."""

    def __init__(self, dsn: str, *, deadline_s: float = _CONNECT_DEADLINE_S) -> None:
        self._connection: Any = psycopg2.connect(dsn, async_=True)
        try:
            self._wait(deadline_s)
            self._cursor: Any = self._connection.cursor()
        except BaseException:
            self._connection.close()
            raise

    def query(self, sql: str, values: tuple[object, ...] = (), *, deadline_s: float) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows.

        :raises DeadlinePassedError: no answer in time; the session is of no use any more.
        :raises psycopg2.Error: the server refused, or the connection broke.
        """
        self._cursor.execute(sql, values or None)
        self._wait(deadline_s)
        return list(self._cursor.fetchall()) if self._cursor.description else []

    def close(self) -> None:
        """Drop the connection."""
        self._connection.close()

    def _wait(self, deadline_s: float) -> None:
        ends_at = time.monotonic() + deadline_s
        poller = select.poll()
        while True:
            state = self._connection.poll()
            if state == extensions.POLL_OK:
                return
            fd = self._connection.fileno()
            poller.register(fd, select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
            left_s = ends_at - time.monotonic()
            if left_s <= 0 or not poller.poll(left_s * 1000):
                raise DeadlinePassedError(f"no answer within {deadline_s} s")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadProgress:
    """How far a load has come."""

    acknowledged: int
    unknown: int
    per_node: Mapping[str, int]  # acknowledged rows
    last_ack_at: Mapping[str, float]


class _Writer(threading.Thread):
    """Writes through one session to one node until it is told to stop."""

    def __init__(self, load: "WriteLoad", node: str, number: int) -> None:
        super().__init__(name=f"writer {node} {number}", daemon=True)
        self._load = load
        self.node = node
        self._writer = f"{load.run_id}-{node}-{number}"
        self._seq = 0
        self._sessions = 0
        self.attempts: list[Attempt] = []  # this and the next two are written by this thread alone
        self.acknowledged = 0
        self.last_ack_at: float | None = None

    def run(self) -> None:
        session: Session | None = None
        while not self._load.stopping.wait(self._load.pace_s):
            if session is None:
                session = self._connect()
                continue
            try:
                is_usable = self._write(session)
            except (psycopg2.Error, DeadlinePassedError):
                is_usable = False
            if not is_usable:
                session.close()
                session = None
        if session is not None:
            session.close()

    def _connect(self) -> Session | None:
        try:
            session = Session(self._load.dsns[self.node])
        except (psycopg2.Error, DeadlinePassedError):
            return None
        self._sessions += 1
        return session

    def _write(self, session: Session) -> bool:
        """Send one row. Answers whether the session can be used again."""
        self._seq += 1
        sent_at = boot_s()
        try:
            rows = session.query(_INSERT, (self._writer, self._seq, self.node), deadline_s=self._load.deadline_s)
        except psycopg2.Error as error:
            if error.pgcode is not None and error.pgcode[:2] not in {"57", "08", "XX"}:
                return True  # the server said no and lives on: a standby, or a table that is not there yet
            self._note(sent_at, None)
            return False
        except DeadlinePassedError:
            self._note(sent_at, None)
            return False
        self._note(sent_at, Lsn.parse(rows[0][0]))
        return True

    def _note(self, sent_at: float, lsn: Lsn | None) -> None:
        ended_at = boot_s()
        self.attempts.append(
            Attempt(
                node=self.node,
                session=self._sessions,
                writer=self._writer,
                seq=self._seq,
                sent_at=sent_at,
                ended_at=ended_at,
                acknowledged=lsn is not None,
                lsn=lsn,
            )
        )
        if lsn is not None:
            self.acknowledged += 1
            self.last_ack_at = ended_at


class WriteLoad:
    """Writers on every node of a cluster, from :meth:`start` to :meth:`stop`.

    :param dsns: a libpq connection string for each node, by its name, of a user that may create a table.
    :param pace_s: pause of each writer between two rows: the resolution of every gap.
    :param deadline_s: how long a writer waits for an answer. Long, so that a late acknowledgement of a stopped server is seen.
    """

    def __init__(self, dsns: Mapping[str, str], *, writers: int = 1, pace_s: float = 0.004, deadline_s: float = 15.0) -> None:
        self.dsns = dict(dsns)
        self.pace_s = pace_s
        self.deadline_s = deadline_s
        self.run_id = uuid.uuid4().hex[:12]
        self.stopping = threading.Event()
        self._writers = [_Writer(self, node, number) for node in self.dsns for number in range(writers)]

    def start(self, *, timeout_s: float = 30.0) -> "WriteLoad":
        """Create the table through whichever node takes it, and begin; returns once a first row was acknowledged.

        :raises TimeoutError: no node took writes in time.
        """
        ends_at = time.monotonic() + timeout_s
        self._somewhere(_CREATE, ends_at)
        for writer in self._writers:
            writer.start()
        while not self.progress().acknowledged:
            if time.monotonic() > ends_at:
                self.stopping.set()
                raise TimeoutError(f"no node acknowledged a row within {timeout_s} s")
            time.sleep(0.01)
        return self

    def progress(self) -> LoadProgress:
        """Count what has happened so far, while the load goes on."""
        per_node: dict[str, int] = dict.fromkeys(self.dsns, 0)
        last: dict[str, float] = {}
        for writer in self._writers:
            per_node[writer.node] += writer.acknowledged
            if writer.last_ack_at is not None:
                last[writer.node] = max(writer.last_ack_at, last.get(writer.node, 0.0))
        acknowledged = sum(per_node.values())
        sent = sum(len(writer.attempts) for writer in self._writers)
        return LoadProgress(acknowledged=acknowledged, unknown=max(sent - acknowledged, 0), per_node=per_node, last_ack_at=last)

    def gap_ms(self, event_at: float, *, within_s: float = 60.0) -> float | None:
        """Return the longest gap after an event so far; ``None`` while no write was acknowledged after it."""
        acks = sorted(attempt.ended_at for attempt in self.attempts() if attempt.acknowledged)
        return longest_gap_ms(acks, event_at, within_s=within_s)

    def stop(self, *, timeout_s: float = 30.0) -> HistoryReport:
        """End the writers, read all rows back from the node that takes writes, and judge."""
        self.stopping.set()
        for writer in self._writers:
            if writer.ident is not None:
                writer.join(self.deadline_s + _CONNECT_DEADLINE_S + 5.0)
        return self.report(timeout_s=timeout_s)

    def report(self, *, timeout_s: float = 30.0) -> HistoryReport:
        """Judge what has been written so far, while the load may go on: the rows are read back from the node that takes writes."""
        attempts = self.attempts()  # before the rows are read: each of these must be among them
        return HistoryReport.of(attempts, self._present(time.monotonic() + timeout_s))

    def attempts(self, since: float = 0.0) -> list[Attempt]:
        """Return the attempts that ended at ``since`` or later, those of one writer in their order."""
        found: list[Attempt] = []
        for writer in self._writers:
            done = writer.attempts
            begin = bisect_left(done, since, key=lambda attempt: attempt.ended_at)
            found += done[begin:]
        return found

    def _present(self, ends_at: float) -> frozenset[tuple[str, int]] | None:
        try:
            rows = self._somewhere(
                f"SELECT writer, seq FROM {TABLE} WHERE writer LIKE %s",  # noqa: S608 - a constant
                ends_at,
                (f"{self.run_id}-%",),
            )
        except TimeoutError:
            return None
        return frozenset((writer, seq) for writer, seq in rows)

    def _somewhere(self, sql: str, ends_at: float, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """Run a statement on the node that is out of recovery, whichever that is.

        :raises TimeoutError: no node did it in time.
        """
        last: Exception | None = None
        while time.monotonic() < ends_at:
            for dsn in self.dsns.values():
                try:
                    session = Session(dsn)
                    try:
                        if not session.query("SELECT pg_is_in_recovery()", deadline_s=_CONNECT_DEADLINE_S)[0][0]:
                            return session.query(sql, values, deadline_s=self.deadline_s)
                    finally:
                        session.close()
                except (psycopg2.Error, DeadlinePassedError) as error:
                    last = error
            time.sleep(0.05)
        raise TimeoutError(f"no node took {sql[:40]!r} in time; the last error: {last}")
