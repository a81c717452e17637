"""A thread that rings when an instant has come: a lock that nobody renews ends without a word of the server."""

import threading
from collections.abc import Callable
from typing import Final

from hacore.model.clock import Clock, Instant

_JOIN_S: Final = 3.0


class Alarm:
    """Rings once for each instant that it was set to. A machine that was suspended makes it late; the loop's own turns do not mind."""

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._changed = threading.Condition()
        self._at: Instant | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="hacore-kubernetes-alarm", daemon=True)

    def start(self) -> None:
        """Begin to wait."""
        self._thread.start()

    def set(self, at: Instant | None) -> None:
        """Ring at this instant, and at no other."""
        with self._changed:
            self._at = at
            self._changed.notify()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        while self._wait():
            self._ring()

    def _wait(self) -> bool:
        """Wait for the instant; ``False``: it is over."""
        with self._changed:
            while not self._ended:
                left_s = None if self._at is None else self._at - self._clock.now()
                if left_s is not None and left_s <= 0:
                    self._at = None
                    return True
                self._changed.wait(None if left_s is None else min(left_s, threading.TIMEOUT_MAX))
            return False
