"""The newest measurement of the server, shared by all who ask: made at most once each 100 ms, on a thread of its own.

Whoever asks gets an answer that was measured after, or at most 100 ms before, the question; or none, when the server does not answer in
time. It knows no query and no path.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from hacore.api.status import Measured

INTERVAL_S: Final = 0.1


class Positions:
    """The newest measurement, and those who wait for the next. Methods may be called from any thread."""

    def __init__(self, measure: Callable[[], Measured | None]) -> None:
        self._measure = measure
        self._changed = threading.Condition()
        self._waiting: list[Callable[[], None]] = []
        self._measured: Measured | None = None
        self._asked_at = -INTERVAL_S  # when the newest measurement was begun
        self._is_started = False

    def latest(self) -> Measured | None:
        """Return the newest measurement; ``None`` where the server did not answer."""
        with self._changed:
            return self._measured

    def after_next(self, then: Callable[[], None]) -> bool:
        """Call ``then``, on another thread, once there is a fresh measurement; ``True``: there is one already, and it is not called."""
        with self._changed:
            if time.monotonic() - self._asked_at < INTERVAL_S and not self._waiting:
                return True
            self._waiting.append(then)
            if not self._is_started:
                self._is_started = True
                threading.Thread(target=self._work, name="positions", daemon=True).start()
            self._changed.notify()
            return False

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                waiting, self._waiting = self._waiting, []
            asked_at = time.monotonic()
            measured = self._measure()
            with self._changed:
                self._measured, self._asked_at = measured, asked_at
                # Who came meanwhile is served too while it is fresh, and where there is no answer: asking again would take as long.
                if measured is None or time.monotonic() - asked_at < INTERVAL_S:
                    waiting, self._waiting = waiting + self._waiting, []
            for then in waiting:
                then()
