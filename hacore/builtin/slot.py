"""At most one running script: a newer one kills the older with everything that descends from it (interface reference 8.4)."""

import logging
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import psutil

logger = logging.getLogger(__name__)

_KILL_S: Final = 10.0


class Slot:
    """Starts scripts one at a time and reaps them.

    :param owed: action that is run again, with its newest arguments, when it was killed before its end by another action.
    """

    def __init__(self, name: str, *, owed: str | None = None) -> None:
        self._name = name
        self._owed = owed
        self._debt: list[str] | None = None  # command line of the owed action that was killed
        self._turn = threading.Lock()
        self._running: tuple[str, list[str], subprocess.Popen[bytes]] | None = None
        self._is_closed = False

    def start(self, action: str, argv: Sequence[str]) -> None:
        """Run a script in place of the one that runs. Returns when the older one has ended and this one has begun."""
        with self._turn:
            self._kill()
            if action == self._owed:
                self._debt = None  # this is newer
            self._start(action, list(argv))

    def close(self) -> None:
        """Start nothing any more. What runs is left to itself."""
        with self._turn:
            self._is_closed = True

    def _start(self, action: str, argv: list[str]) -> None:
        try:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)
        except OSError as error:
            logger.warning("script cannot be started", extra={"slot": self._name, "action": action, "error": str(error)})
            return
        self._running = (action, argv, process)
        threading.Thread(target=self._reap, args=(process,), name=f"{self._name} {process.pid}", daemon=True).start()

    def _kill(self) -> None:
        if self._running is None:
            return
        action, argv, process = self._running
        self._running = None
        if process.poll() is not None:
            return
        family = _family(process.pid)
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        logger.info("script killed by a newer one", extra={"slot": self._name, "action": action, "pid": process.pid})
        if action == self._owed:
            self._debt = argv
        while psutil.wait_procs(family, timeout=_KILL_S)[1]:
            logger.warning("script cannot be killed, waiting for it", extra={"slot": self._name, "action": action, "pid": process.pid})

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        exit_code = process.wait()
        if exit_code > 0:
            logger.info("script failed", extra={"slot": self._name, "pid": process.pid, "exit_code": exit_code})
        with self._turn:
            if self._running is None or self._running[2] is not process:
                return  # a newer one took its place, or is about to
            self._running = None
            if self._debt is not None and self._owed is not None and not self._is_closed:
                argv, self._debt = self._debt, None
                self._start(self._owed, argv)


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
