"""Telling one listener what has happened: an ordered queue and a thread for each, so that a slow one delays nobody else."""

import logging
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Final

from hacore.errors import HacoreError
from hacore.model.events import Event, EventKind
from hacore.plugins.calling import Calls

logger = logging.getLogger(__name__)

CAPACITY: Final = 1000
LIMIT_S: Final = 60.0
_COALESCED: Final = frozenset({EventKind.ROLE_CHANGED})  # only the newest matters


class EventQueue:
    """Delivers events to one listener, one at a time, in their order."""

    def __init__(self, calls: Calls, *, capacity: int = CAPACITY, limit_s: float = LIMIT_S) -> None:
        self.dropped = 0  # events that found the queue full
        self.delivered = 0
        self._calls = calls
        self._capacity = capacity
        self._limit_s = limit_s
        self._changed = threading.Condition()
        self._waiting: deque[Event] = deque()
        self._since: float | None = None  # when the call in flight began
        self._is_late = False  # it has been said that it takes too long
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def put(self, event: Event) -> None:
        """Queue an event. Never blocks."""
        with self._changed:
            if self._is_closed:
                return
            if event.kind in _COALESCED:
                self._waiting = deque(waiting for waiting in self._waiting if waiting.kind is not event.kind)
            elif len(self._waiting) >= self._capacity:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(event)
            self._start()
            self._changed.notify_all()
        self._look()

    @property
    def is_stuck(self) -> bool:
        """Tell whether the listener has been at one event for longer than the limit; it gets no other before it has come back."""
        since = self._since
        return since is not None and time.monotonic() - since > self._limit_s

    @property
    def waiting(self) -> int:
        """Return how many events wait."""
        return len(self._waiting)

    def close(self, timeout_s: float) -> bool:
        """Deliver what waits, for at most ``timeout_s``, and end. Tell whether everything was delivered."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            done = self._changed.wait_for(lambda: not self._waiting and self._since is None, timeout_s)
            self._waiting.clear()
            return done

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=f"events {self._calls.name}", daemon=True)
            self._thread.start()

    def _serve(self) -> None:
        while (event := self._take()) is not None:
            with suppress(HacoreError, SystemExit):  # logged and counted where it was called; nothing follows from it
                self._calls.call_here("hacore_event", event=event)
            with self._changed:
                self.delivered += 1
                self._since = None
                self._is_late = False
                self._changed.notify_all()

    def _take(self) -> Event | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            if not self._waiting:
                return None
            self._since = time.monotonic()
            return self._waiting.popleft()

    def _look(self) -> None:
        if self.is_stuck and not self._is_late:
            self._is_late = True
            logger.error("listener does not come back, events wait", extra={"plugin": self._calls.name, "waiting": len(self._waiting)})
