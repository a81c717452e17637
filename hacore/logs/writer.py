"""The bounded queue of records and the thread that writes them."""

import logging
import threading
from collections import deque
from typing import Final

logger = logging.getLogger(__name__)

_CLOSING_S: Final = 2.0


class QueuedHandler(logging.Handler):
    """Takes records without waiting; a thread hands them to the target, which may block or fail."""

    def __init__(self, target: logging.Handler, limit: int) -> None:
        super().__init__()
        self._target = target
        self._limit = limit
        self._queue: deque[logging.LogRecord | logging.Handler] = deque()  # a handler: write to it from here on
        self._changed = threading.Condition()
        self._writing = False
        self._closed = False
        self._lost = self._said_lost = 0  # records that found the queue full, or that could not be written
        # The library itself would print to a stream that may be the broken one.
        target.handleError = self._count_lost  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._write, name="log-writer", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record, or count it as lost."""
        # The message is made here: its arguments may have changed by the time it is written.
        record.msg, record.args = record.getMessage(), None
        with self._changed:
            if self._closed or len(self._queue) >= self._limit:
                self._lost += 1
                return
            self._queue.append(record)
            self._changed.notify_all()

    def use(self, target: logging.Handler, limit: int) -> None:
        """Write to another target from the next record on; what waits still goes to the old one."""
        target.handleError = self._count_lost  # type: ignore[method-assign]
        with self._changed:
            self._limit = limit
            self._queue.append(target)
            self._changed.notify_all()

    def drain(self, timeout_s: float) -> bool:
        """Wait until the queue is empty and its last record written."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue and not self._writing, timeout_s)

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self.drain(_CLOSING_S)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(_CLOSING_S)
        if not self._thread.is_alive():  # a target in which the thread hangs cannot be closed
            self._target.close()
        super().close()

    def _count_lost(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - the library's signature
        self._lost += 1

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._queue) or self._closed)
                if not self._queue:
                    return
                next_one, self._writing = self._queue.popleft(), True
            try:
                if isinstance(next_one, logging.Handler):
                    self._target.close()
                    self._target = next_one
                else:
                    self._hand_over(next_one)
            finally:
                with self._changed:
                    self._writing = False
                    self._changed.notify_all()

    def _hand_over(self, record: logging.LogRecord) -> None:
        """Write a record, and once the target takes them again what became of the others."""
        before = self._lost
        self._target.handle(record)
        if self._lost == before > self._said_lost:
            said = logging.WARNING, __file__, 0, "records of the log were lost", (), None
            self._target.handle(logger.makeRecord(logger.name, *said, extra={"records": before - self._said_lost}))
            self._said_lost = before
