"""What a client of a site does: transactions one after the other through the router, each counted as taken, failed or unknown."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import psycopg2

from hacore.testing.history import DeadlinePassedError, Session

TABLE: Final = "site_rows"
_DEADLINE_S: Final = 20.0
_PACE_S: Final = 0.01


@dataclass(slots=True)
class Taken:
    """What became of the transactions of a time."""

    acknowledged: list[tuple[str, int]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # why, of those that the server refused or that broke
    longest_gap_s: float = 0.0  # between two that were acknowledged, for any one client


class _Client(threading.Thread):
    def __init__(self, load: "Load", number: int) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self._load, self._name = load, f"{load.name}-{number}"
        self._session: Session | None = None
        self._last_at = time.monotonic()

    def run(self) -> None:
        seq = 0
        while not self._load.is_over.is_set():
            seq += 1
            try:
                if self._session is None:
                    self._session = Session(self._load.dsn, deadline_s=_DEADLINE_S)
                self._write(self._session, seq)
            except (psycopg2.Error, DeadlinePassedError) as error:
                self._load.note(self._name, failure=" ".join(str(error).split()))
                self._drop()
                self._load.is_over.wait(0.1)
            else:
                now = time.monotonic()
                self._load.note(self._name, row=seq, gap_s=now - self._last_at)
                self._last_at = now
                self._load.is_over.wait(_PACE_S)
        self._drop()

    def _write(self, session: Session, seq: int) -> None:
        insert = f"INSERT INTO {TABLE} VALUES (%s, %s)"  # noqa: S608 - a constant
        if seq % 2:
            session.query(insert, (self._name, seq), deadline_s=_DEADLINE_S)
            return
        session.query("BEGIN", deadline_s=_DEADLINE_S)
        session.query(insert, (self._name, seq), deadline_s=_DEADLINE_S)
        session.query("COMMIT", deadline_s=_DEADLINE_S)

    def _drop(self) -> None:
        if self._session is not None:
            with suppress(psycopg2.Error):
                self._session.close()
        self._session = None


class Load:
    """Several clients at work; what became of their transactions is asked from time to time."""

    def __init__(self, dsn: str, *, name: str = "c", clients: int = 4) -> None:
        self.dsn, self.name = dsn, name
        self.is_over = threading.Event()
        self._mutex = threading.Lock()
        self._rows: list[tuple[str, int]] = []
        self._since = Taken()
        self._clients = [_Client(self, number) for number in range(clients)]

    def start(self) -> "Load":
        """Make the table, and let the clients begin; from a thread that reaches the router."""
        session = Session(self.dsn, deadline_s=_DEADLINE_S)
        session.query(f"CREATE TABLE IF NOT EXISTS {TABLE} (client text, seq bigint, PRIMARY KEY (client, seq))", deadline_s=_DEADLINE_S)
        session.close()
        for client in self._clients:
            client.start()
        return self

    def take(self) -> Taken:
        """Return what became of the transactions since the last time."""
        with self._mutex:
            taken, self._since = self._since, Taken()
            return taken

    def stop(self) -> None:
        """Let the clients end."""
        self.is_over.set()
        for client in self._clients:
            client.join(2 * _DEADLINE_S)

    def acknowledged(self) -> frozenset[tuple[str, int]]:
        """Return every row of which a client was told that it is there."""
        with self._mutex:
            return frozenset(self._rows)

    def note(self, client: str, *, row: int | None = None, gap_s: float = 0.0, failure: str | None = None) -> None:
        """Count one transaction."""
        with self._mutex:
            if row is not None:
                self._rows.append((client, row))
                self._since.acknowledged.append((client, row))
                self._since.longest_gap_s = max(self._since.longest_gap_s, gap_s)
            if failure is not None:
                self._since.failed.append(failure)


def rows_at(dsn: str) -> frozenset[tuple[str, int]]:
    """Return the rows that a server has."""
    session = Session(dsn, deadline_s=_DEADLINE_S)
    try:
        rows = session.query(f"SELECT client, seq FROM {TABLE}", deadline_s=_DEADLINE_S)  # noqa: S608 - a constant
        return frozenset((str(name), int(seq)) for name, seq in rows)
    finally:
        session.close()


def ask(dsn: str, statement: str) -> str:
    """Run one statement and return the first value of its rows."""
    session = Session(dsn, deadline_s=_DEADLINE_S)
    try:
        return str(session.query(statement, deadline_s=_DEADLINE_S)[0][0])
    finally:
        session.close()
