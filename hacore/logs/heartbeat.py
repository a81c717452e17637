"""Lines that say each turn that nothing happened: ``logger.info("no action", extra={"heartbeat": True, ...})``."""

import logging
from typing import Final

MARK: Final = "heartbeat"


class Heartbeats(logging.Filter):
    """Lets a heartbeat through unless the line before it, from the same logger, was the same heartbeat."""

    def __init__(self) -> None:
        super().__init__()
        self.enabled = False
        self._last: object = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide about one record."""
        if not self.enabled or not getattr(record, MARK, False):
            self._last = None  # after another line a heartbeat says something again
            return True
        facts = [(key, value) for key, value in vars(record).items() if key in {"rule", "reason", "role", "leader"}]
        found = (record.name, record.levelno, record.getMessage(), facts)
        repeated = found == self._last
        self._last = found
        return not repeated
