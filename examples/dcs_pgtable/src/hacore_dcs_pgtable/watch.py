"""The thread that sleeps until the server tells of a change, or the lock would expire, and wakes the loop when it must look.

A notification says only that something was written, so each is followed by a look. There is one at least every few seconds, too: a
connection that has died without a word shows itself by not answering.
"""

import logging
import os
import threading
from collections.abc import Callable
from typing import Final

from hacore.errors import Enduring
from hacore.model.clock import Clock, Instant
from hacore.sightings import Sightings
from hacore_dcs_pgtable.tables import Seen, Table

CHANNEL: Final = "hacore"
_LOOK_S: Final = 1.5
_PAUSE_S: Final = 0.2
_JOIN_S: Final = 3.0
_AFTER_EXPIRY_S: Final = 0.002
logger = logging.getLogger(__name__)


class Watch:
    """Looks until it is closed.

    :param silence_s: how long nothing need be heard before a look shows whether the server is still there.
    """

    def __init__(self, table: Table, sightings: Sightings, clock: Clock, *, silence_s: float) -> None:
        self._table = table  # on a connection of its own, which listens to CHANNEL
        self._sightings = sightings
        self._clock = clock
        self._silence_s = silence_s
        self._known: tuple[object, ...] | None = None  # what the loop has been woken for
        self._ended = threading.Event()
        self._interrupter: int | None = None  # closing it ends a sleep
        self._thread: threading.Thread | None = None

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to look; ``wake`` is called from the thread of this watch."""
        interrupt, self._interrupter = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, args=(wake, interrupt), name="hacore-pgtable-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread is not None and self._interrupter is not None:
            os.close(self._interrupter)
            self._interrupter = None
            self._thread.join(_JOIN_S)

    def _run(self, wake: Callable[[], None], interrupt: int) -> None:
        while not self._ended.is_set():
            with Enduring() as round_:
                seen = self._table.look(until=self._clock.now() + _LOOK_S)
                if self._concerns(seen) and not self._ended.is_set():
                    wake()
                self._table.sleep(until=self._next_look(seen), interrupt=interrupt)
            if round_.error is not None:
                logger.debug("the watch cannot read the store", extra={"error": str(round_.error)})
                self._known = None  # what it has met may have been in the way of a wake
                self._ended.wait(_PAUSE_S)
        self._table.connection.close()
        os.close(interrupt)

    def _concerns(self, seen: Seen) -> bool:
        """Note every version; tell whether the loop must look. It must after each new connection: who knows what was not heard before."""
        for name, (version, value) in seen.records.items():
            self._sightings.watched(name, value, version)
        leads = seen.lock is not None and seen.lock.holder == self._table.member
        waking = ("config", "failover") if leads else ("config", "failover", "status")
        now_known = (self._table.connection.opened, seen.lock, *(seen.records.get(name, (0,))[0] for name in waking))
        concerns, self._known = now_known != self._known, now_known
        return concerns

    def _next_look(self, seen: Seen) -> Instant:
        expires_in_s = self._silence_s if seen.lock is None else seen.left_s + _AFTER_EXPIRY_S
        return self._clock.now() + min(self._silence_s, expires_in_s)
