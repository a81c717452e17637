"""The thread that looks at the store whenever the kernel says that its log was written, and wakes the loop when it must act.

It never polls: between two looks it sleeps in the kernel until the log is written, the lock that stands would expire, or its bound on
silence is over. It also learns of new versions of the records earlier than the next snapshot.
"""

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from hacore.errors import Enduring
from hacore.model.clock import Clock, Instant
from hacore.sightings import Sightings
from hacore_dcs_sqlite.file import StoreFile
from hacore_dcs_sqlite.inotify import DirectoryWatch
from hacore_dcs_sqlite.tables import Tables

SILENCE_S: Final = 5.0  # a look at least this often, whatever the kernel said
_LOOK_S: Final = 1.0
_AGAIN_S: Final = (0.001, 0.004, 0.02, 0.1)  # the log is written an instant before the commit can be seen
_AFTER_EXPIRY_S: Final = 0.002
logger = logging.getLogger(__name__)


class Watch:
    """Looks until it is closed."""

    def __init__(
        self, file: StoreFile, path: Path, clock: Clock, sightings: Sightings, tables: Callable[[sqlite3.Connection], Tables], member: str
    ) -> None:
        self._file = file
        self._directory = DirectoryWatch(path.parent, path.name)
        self._clock = clock
        self._sightings = sightings
        self._tables = tables
        self._member = member
        self._seen: tuple[object, ...] | None = None
        self._lock_ends_at: Instant | None = None
        self._ended = threading.Event()
        self._closing, self._close = os.pipe2(os.O_CLOEXEC)
        self._directory.also(self._closing)
        self._thread: threading.Thread | None = None

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to look; ``wake`` is called from the thread of this watch."""
        self._thread = threading.Thread(target=self._run, args=(wake,), name="hacore-sqlite-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        os.close(self._close)
        if self._thread is not None:
            self._thread.join()
        os.close(self._closing)
        self._directory.close()
        self._file.close()

    def _run(self, wake: Callable[[], None]) -> None:
        pauses: Iterator[float] = iter(())
        while not self._ended.is_set():
            with Enduring() as round_:
                if self._look() and not self._ended.is_set():
                    wake()
            if round_.error is not None:
                logger.debug("the watch cannot read the store", extra={"error": str(round_.error)})
                self._seen, self._lock_ends_at = None, None
            if self._directory.wait(next(pauses, self._until_next_look())):
                pauses = iter(_AGAIN_S)

    def _look(self) -> bool:
        """Tell whether something has changed that the loop must answer; also after a time in which nothing could be seen."""
        with self._file.transaction("read", until=self._clock.now() + _LOOK_S) as connection:
            tables = self._tables(connection)
            lock, self._lock_ends_at, rows = tables.lock(), tables.lock_ends_at(), tables.rows()
        records = {row.name: self._sightings.watched(row.name, row.value, row.version) for row in rows}
        waking = ("config", "failover") if lock is not None and lock.holder == self._member else ("config", "failover", "status")
        seen = (lock, *(records[name].version if name in records else 0 for name in waking))
        changed, self._seen = seen != self._seen, seen
        return changed

    def _until_next_look(self) -> float:
        expires_in_s = SILENCE_S if self._lock_ends_at is None else self._lock_ends_at - self._clock.now() + _AFTER_EXPIRY_S
        return min(SILENCE_S, max(expires_in_s, _AFTER_EXPIRY_S))
