"""The gunicorn worker class of the REST process: one thread on epoll in place of gunicorn's blocking ones.

Run without gunicorn's arbiter: the main process starts it again when it ends, and one process less is 4 MiB less.
"""

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Final

from gunicorn.config import Config
from gunicorn.workers.base import Worker

from hacore.api.server import Server

_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_IGNORED: Final = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE)  # what the main process passes on is not always for us


class EpollWorker(Worker):  # type: ignore[misc]  # gunicorn is published without types
    """Serves until it is told to end."""

    def __init__(self, server: Server, config: Config, log: object, reload: Callable[[], None]) -> None:
        super().__init__(0, os.getppid(), [], None, 0, config, log)
        self._server = server
        self._reload = reload

    def init_process(self) -> None:
        """Serve. The signals are taken already: they may come as soon as somebody sees that there is a listener."""
        self.booted = True
        self.run()

    def init_signals(self) -> None:
        """SIGHUP reads the configuration again; the usual ones end."""
        for number in _ENDING:
            signal.signal(number, self.handle_exit)
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, self.handle_reload)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End soon."""
        del sig, frame
        self.alive = False
        self._server.stop()

    def handle_reload(self, sig: int, frame: FrameType | None) -> None:
        """Read the configuration again."""
        del sig, frame
        self._reload()

    def run(self) -> None:
        """Serve."""
        self._server.run()
