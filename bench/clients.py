"""Clients behind a router: one transaction after the other, a new session after each failure, as programs with a pool do it."""

import threading
import time
from contextlib import suppress
from typing import Final

import psycopg2

from hacore.testing.history import DeadlinePassedError, Session, boot_s
from hacore.testing.verdict import longest_gap_ms

TABLE: Final = "bench_rows"
CLIENTS: Final = 3  # for each route: enough that a server which lets some in and others not is seen
PACE_S: Final = 0.005  # between two transactions: the resolution of every gap
AGAIN_S: Final = 0.02  # after a failure
PATIENCE_S: Final = 90.0  # nobody gives up before the router does


class Client(threading.Thread):
    """One at work until its load is over; its lists are written by this thread alone."""

    def __init__(self, load: "Clients") -> None:
        super().__init__(daemon=True)
        self._load = load
        self._session: Session | None = None
        self.acknowledged: list[float] = []
        self.failed: list[tuple[float, str]] = []

    def run(self) -> None:
        while not self._load.is_over.is_set():
            try:
                if self._session is None:
                    self._session = Session(self._load.dsn, deadline_s=PATIENCE_S)
                self._session.query(f"INSERT INTO {TABLE} DEFAULT VALUES", deadline_s=PATIENCE_S)
            except (psycopg2.Error, DeadlinePassedError) as error:
                self.failed.append((boot_s(), " ".join(str(error).split())))
                self._drop()
                self._load.is_over.wait(AGAIN_S)
            else:
                self.acknowledged.append(boot_s())
                self._load.is_over.wait(PACE_S)
        self._drop()

    def _drop(self) -> None:
        if self._session is not None:
            with suppress(psycopg2.Error):
                self._session.close()
        self._session = None


class Clients:
    """Those of one route, from :meth:`start` to :meth:`stop`. The table has to be there."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.is_over = threading.Event()
        self._clients = [Client(self) for _ in range(CLIENTS)]

    def start(self) -> "Clients":
        for client in self._clients:
            client.start()
        return self

    def all_served_since(self, at: float) -> bool:
        """Whether a transaction of each client was acknowledged after an instant."""
        return all(client.acknowledged and client.acknowledged[-1] > at for client in self._clients)

    def gap_ms(self, event_at: float, *, within_s: float) -> float | None:
        """The longest time after an event in which none was acknowledged, of whichever client."""
        return longest_gap_ms(sorted(at for client in self._clients for at in client.acknowledged), event_at, within_s=within_s)

    def failures(self, event_at: float) -> list[str]:
        """What clients were told of each transaction that failed after an event, connecting included."""
        return [reason for client in self._clients for at, reason in client.failed if at > event_at]

    def stop(self) -> None:
        self.is_over.set()
        ends_at = time.monotonic() + PATIENCE_S
        for client in self._clients:
            client.join(max(0.0, ends_at - time.monotonic()))
