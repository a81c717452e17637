"""The handle of long work: whether it was cancelled, how far it is, and the programs it runs.

It is what :class:`hacore.interfaces.Job` promises to plugins, and what our own work uses. It knows no PostgreSQL.
"""

import codecs
import contextlib
import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import psutil

from hacore.errors import JobCancelledError
from hacore.guard.jobs import job_mark
from hacore.interfaces import Finished
from hacore.model.text import short

_TERM_S: Final = 10.0  # from SIGTERM to SIGKILL of a cancelled program
_LOOK_S: Final = 0.1
_REST_S: Final = 1.0  # for what a cancelled program has said and nobody has read yet
_OUTPUT_CHARS: Final = 8000
_LINE_END: Final = re.compile(r"[\r\n]+")


class JobHandle:
    """One piece of work in flight. Cancelled from any thread, used by the one that works."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._reason = ""
        self._progress: str | None = None

    @property
    def is_cancelled(self) -> bool:
        """Tell whether the work shall end."""
        return self._cancelled.is_set()

    @property
    def told(self) -> str | None:
        """How far it is, for people."""
        return self._progress

    def cancel(self, reason: str) -> None:
        """Ask the work to end."""
        self._reason = self._reason or reason
        self._cancelled.set()

    def check(self) -> None:
        """Return while the work may go on.

        :raises JobCancelledError: it was cancelled.
        """
        if self._cancelled.is_set():
            raise JobCancelledError(self._reason or "cancelled")

    def progress(self, text: str) -> None:
        """Tell people how far the work is.

        :raises JobCancelledError: it was cancelled.
        """
        self._progress = short(text)
        self.check()

    def wait(self, seconds: float) -> None:
        """Wait, but not longer than until the work is cancelled.

        :raises JobCancelledError: it was cancelled.
        """
        self._cancelled.wait(seconds)
        self.check()

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        on_line: Callable[[str], None] | None = None,
        cwd: str | None = None,
    ) -> Finished:
        """Run a program in a process group of its own, with this environment alone, to its end.

        Cancelling sends SIGTERM, after 10 s SIGKILL to the program and all its descendants. What it has said until its end is told all
        the same: it may say what it has begun.

        :raises OSError: it could not be started.
        :raises JobCancelledError: the work was cancelled; the program is gone then.
        """
        self.check()
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**environment, **job_mark(os.environ)},  # main ends it should we be killed
            cwd=cwd,
            start_new_session=True,
        )
        lines = _Lines(on_line)
        try:
            output = self._follow(process, lines)
        except JobCancelledError:
            if process.poll() is None:
                end_tree(process)
            _tell_rest(process, lines)
            raise
        finally:
            if process.poll() is None:
                end_tree(process)
            if process.stdout is not None:
                process.stdout.close()
        self.check()
        return Finished(exit_code=process.returncode, output=output)

    def _follow(self, process: subprocess.Popen[bytes], lines: "_Lines") -> str:
        """Read what the program writes until it ends; its descendants may hold the pipe for longer."""
        if process.stdout is None:
            return ""
        fd = process.stdout.fileno()
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        while True:
            ended = process.poll() is not None
            ready = poller.poll(0 if ended else int(_LOOK_S * 1000))
            chunk = os.read(fd, 65536) if ready else b""
            lines.feed(chunk)
            self.check()
            if ended and not chunk:
                return lines.end()
            if ready and not chunk:  # it closed its output and works on
                self.wait(_LOOK_S)


@contextlib.contextmanager
def limited(seconds: float, reason: str) -> Iterator[JobHandle]:
    """Give work of a block that is cancelled after a time."""
    job = JobHandle()
    timer = threading.Timer(seconds, job.cancel, (reason,))
    timer.daemon = True
    timer.start()
    try:
        yield job
    finally:
        timer.cancel()


class _Lines:
    """Cuts output into lines, and keeps the end of it."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self._on_line = on_line
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._kept = ""

    def feed(self, chunk: bytes) -> None:
        text = self._decoder.decode(chunk)
        if not text:
            return
        self._kept = (self._kept + text)[-_OUTPUT_CHARS:]
        *lines, self._rest = _LINE_END.split(self._rest + text)
        for line in lines:
            self._tell(line)

    def end(self) -> str:
        self._tell(self._rest)
        return self._kept

    def _tell(self, line: str) -> None:
        if self._on_line is not None and line.strip():
            self._on_line(line)


def _tell_rest(process: subprocess.Popen[bytes], lines: _Lines) -> None:
    """Read what a program that has ended left in its pipe; one that got away from it may hold the pipe, and write on."""
    if process.stdout is None:
        return
    fd, until = process.stdout.fileno(), time.monotonic() + _REST_S
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    while time.monotonic() < until and poller.poll(0):
        chunk = os.read(fd, 65536)
        if not chunk:
            break
        lines.feed(chunk)
    lines.end()


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it has started: SIGTERM to its group, after 10 s SIGKILL to the whole tree."""
    tree = _tree(process.pid)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)
    until = time.monotonic() + _TERM_S
    while time.monotonic() < until and process.poll() is None:
        tree |= _tree(process.pid)
        time.sleep(_LOOK_S / 2)
    for one in tree | _tree(process.pid):
        with contextlib.suppress(psutil.Error):
            one.kill()
    process.wait()


def _tree(pid: int) -> set[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return {root, *root.children(recursive=True)}
    except psutil.Error:
        return set()
