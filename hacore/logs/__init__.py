"""Logging of one process: what every ``log.*`` key does.

A record goes into a bounded queue and is written by a thread of its own, so that a full disk or a blocked terminal never holds up the
caller; what does not fit is counted and lost. The message is constant, facts come by ``extra`` and are shown in every format. It reads no
configuration, and nothing happens before :func:`setup` is called. A file that cannot be written never ends a process: its lines go to
standard error.
"""

import logging
from dataclasses import replace
from typing import Final

from hacore.config.settings import LogSettings
from hacore.errors import ConfigError
from hacore.logs.formats import formatter
from hacore.logs.heartbeat import Heartbeats
from hacore.logs.targets import FILE_NAME, open_target
from hacore.logs.writer import QueuedHandler

__all__ = ["FILE_NAME", "LogHandle", "setup"]

logger = logging.getLogger(__name__)

_CLOSING_S: Final = 2.0


class LogHandle:
    """The logging that is in force in this process. Used from one thread."""

    def __init__(self, settings: LogSettings, file_name: str) -> None:
        self._file_name = file_name
        self._levels: dict[str, int] = {}
        self._heartbeats = Heartbeats()
        target, fault = self._usable(settings)
        self._handler = QueuedHandler(target, settings.max_queue_size)
        self._handler.addFilter(self._heartbeats)
        self._apply(settings)
        root = logging.getLogger()
        self._before = root.handlers[:]
        root.handlers[:] = [self._handler]
        _say(fault)

    def use(self, settings: LogSettings) -> None:
        """Use settings from the next record on; where their file cannot be opened, with standard error in its place."""
        target, fault = self._usable(settings)
        self._handler.use(target, settings.max_queue_size)
        self._apply(settings)
        _say(fault)

    def reload(self, settings: LogSettings) -> None:
        """Use other settings from the next record on.

        :raises ConfigError: the new file cannot be opened; the old settings stay.
        """
        self._handler.use(self._target(settings), settings.max_queue_size)
        self._apply(settings)

    def flush(self, timeout_s: float = _CLOSING_S) -> bool:
        """Wait until everything that was logged so far is written; ``False`` when that takes longer."""
        return self._handler.drain(timeout_s)

    def close(self) -> None:
        """Write what waits, for two seconds at most, and leave the process without our handler."""
        root = logging.getLogger()
        root.handlers[:] = self._before
        self._handler.close()
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)

    def _usable(self, settings: LogSettings) -> tuple[logging.Handler, ConfigError | None]:
        try:
            return self._target(settings), None
        except ConfigError as error:
            return self._target(replace(settings, dir=None)), error

    def _target(self, settings: LogSettings) -> logging.Handler:
        target = open_target(settings, self._file_name)
        target.setFormatter(formatter(settings))
        return target

    def _apply(self, settings: LogSettings) -> None:
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
        wanted = {"": settings.level, **settings.loggers}
        self._levels = {name: logging.getLogger(name).level for name in wanted}
        for name, word in wanted.items():
            logging.getLogger(name).setLevel(word)
        self._heartbeats.enabled = settings.deduplicate_heartbeat_logs


def _say(fault: ConfigError | None) -> None:
    if fault is not None:
        logger.error("log goes to standard error", extra={"error": str(fault)})


def setup(settings: LogSettings, *, file_name: str = FILE_NAME) -> LogHandle:
    """Take over the logging of this process. To be called after every fork, because it starts a thread.

    :param file_name: the name below ``log.dir``; two processes cannot rotate one file, so each but the agent brings its own.
    """
    return LogHandle(settings, file_name)
