"""Where the WAL of a stopped server ends, also what it has not replayed: the position that says whether it may follow another.

``pg_waldump`` reads from the last known point to the first record that does not fit. It runs beside the loop: asked again each turn,
the finder answers when it is done. Of a server that runs nothing is asked here.
"""

import logging
import os
import re
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from hacore.errors import DataDirectoryError
from hacore.guard.jobs import job_mark
from hacore.model.lsn import Lsn
from hacore.model.node import ControlData
from hacore.postgres.history import FIRST, HistoryReader
from hacore.postgres.programs import ENVIRONMENT, Programs

logger = logging.getLogger(__name__)

_RETRY_S: Final = 30.0
_PAGE: Final = 8192
_SHORT_HEADER: Final = 24
_LONG_HEADER: Final = 40  # of the first page of a segment
_ALIGN: Final = 8
_SEGMENT: Final = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")
_LAST_RECORD: Final = re.compile(r"error in WAL record at ([0-9A-F]+/[0-9A-F]+)")
_NOTHING_AFTER: Final = re.compile(r"could not find a valid record after ([0-9A-F]+/[0-9A-F]+)")
_NO_FILE: Final = re.compile(r'could not (?:find|open) file "(?:[^"]*/)?([0-9A-F]{24})"')
_LENGTH: Final = re.compile(r"len \(rec/tot\):\s*\d+/\s*(\d+),.*?lsn: ([0-9A-F]+/[0-9A-F]+)")
_XLOGID: Final = 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class WalEnd:
    """The end of the local WAL, and the timeline on which it ends."""

    lsn: Lsn
    timeline: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where to read from: a record that is known to begin, or the end of one, there."""

    lsn: Lsn
    timeline: int


class WalEndFinder:
    """Finds the end for one state of one stopped server."""

    def __init__(self, wal_dir: Path, histories: HistoryReader) -> None:
        self._wal_dir = wal_dir
        self._histories = histories
        self._asked: tuple[object, ControlData] | None = None
        self._search: _Search | None = None
        self._found: WalEnd | None = None
        self._retry_at: float | None = None
        self._lock = threading.Lock()  # the worker drops what the loop looks for

    def poll(self, programs: Programs, control: ControlData, stamp: object, *, patience_s: float = 0.0) -> WalEnd | None:
        """Begin the search, or look whether it has ended, waiting a little. ``stamp`` changes whenever the server may have written."""
        with self._lock:
            if self._asked != (stamp, control) or (self._retry_at is not None and time.monotonic() >= self._retry_at):
                self._drop()
                self._asked = (stamp, control)
                begun = self._begin(programs, control)
                self._found, self._search = (begun, None) if isinstance(begun, WalEnd) else (None, begun)
            if self._search is not None:
                try:
                    self._found = self._search.poll(patience_s)
                except DataDirectoryError as error:
                    logger.warning("the end of WAL is not known", extra={"error": str(error)})
                    self._search, self._retry_at = None, time.monotonic() + _RETRY_S
                if self._found is not None:
                    self._search = None
            return self._found

    def find(self, programs: Programs, control: ControlData, *, timeout_s: float) -> WalEnd:
        """Search and wait for the answer: for work that has a thread of its own.

        :raises DataDirectoryError: pg_waldump did not say where it ends.
        :raises subprocess.TimeoutExpired: it took longer.
        """
        begun = self._begin(programs, control)
        if isinstance(begun, WalEnd):
            return begun
        try:
            return begun.wait(timeout_s)
        finally:
            begun.end()

    def drop(self) -> None:
        """Forget what was found and end a search."""
        with self._lock:
            self._drop()

    def _begin(self, programs: Programs, control: ControlData) -> "WalEnd | _Search":
        """Return the end where no program has to be asked, else the search for it."""
        start = starting_point(control, self._segments(), self._histories)
        if nothing_begins(self._wal_dir, start, control.wal_segment_bytes):
            return WalEnd(lsn=start.lsn, timeline=start.timeline)
        return _Search(programs, self._wal_dir, start, control.wal_segment_bytes)

    def _drop(self) -> None:
        if self._search is not None:
            self._search.end()
        self._asked = self._search = self._found = self._retry_at = None

    def _segments(self) -> list[str]:
        try:
            return sorted(entry.name for entry in self._wal_dir.iterdir() if _SEGMENT.fullmatch(entry.name))
        except OSError:
            return []


def starting_point(control: ControlData, segments: Sequence[str], histories: HistoryReader) -> Start:
    """Choose the newest point that is certainly in the local WAL: on the newest timeline that descends from what was replayed."""
    known = [Start(lsn=control.checkpoint_lsn, timeline=control.timeline)]
    if control.min_recovery_lsn is not None and control.min_recovery_timeline is not None:
        known.append(Start(lsn=control.min_recovery_lsn, timeline=control.min_recovery_timeline))
    base = max(known, key=lambda start: (start.timeline, start.lsn))
    for timeline in sorted({int(name[:8], 16) for name in segments}, reverse=True):
        if timeline <= max(base.timeline, FIRST):
            break
        history = histories.of(timeline)
        if history is None or not history.has_prefix(base.timeline, base.lsn):
            continue
        return Start(lsn=history.switches[-1].switchpoint, timeline=timeline)
    return base


def advance(lsn: Lsn, length: int, segment_bytes: int) -> Lsn:
    """Return where a record of ``length`` bytes ends that begins at ``lsn``, page headers counted, aligned as the next one."""
    position, left = int(lsn), length
    while left > 0:
        if position % _PAGE == 0:
            position += _LONG_HEADER if position % segment_bytes == 0 else _SHORT_HEADER
        room = _PAGE - position % _PAGE
        taken = min(room, left)
        position += taken
        left -= taken
    return Lsn(-(-position // _ALIGN) * _ALIGN)


def segment_of(start: Start, segment_bytes: int) -> str:
    """Return the name of the file that holds a position."""
    per_id, number = _XLOGID // segment_bytes, start.lsn // segment_bytes
    return f"{start.timeline:08X}{number // per_id:08X}{number % per_id:08X}"


def nothing_begins(wal_dir: Path, start: Start, segment_bytes: int) -> bool:
    """Tell whether it is the edge of a segment whose file was made ahead and never written: pg_waldump takes no such file for WAL."""
    if start.lsn % segment_bytes:
        return False
    try:
        with (wal_dir / segment_of(start, segment_bytes)).open("rb") as file:
            return not any(file.read(_PAGE))
    except OSError:
        return False


def segment_start(name: str, segment_bytes: int) -> Lsn:
    """Return the first position of a WAL segment file."""
    per_id = _XLOGID // segment_bytes
    return Lsn((int(name[8:16], 16) * per_id + int(name[16:24], 16)) * segment_bytes)


class _Search:
    """Two runs of ``pg_waldump``: over everything without output, then of the last record alone for its length."""

    def __init__(self, programs: Programs, wal_dir: Path, begin: Start, segment_bytes: int) -> None:
        self._begin = begin
        self._segment_bytes = segment_bytes
        self._argv = (programs.path("pg_waldump"), f"--path={wal_dir}", f"--timeline={begin.timeline}")
        self._process = self._launch("--quiet", f"--start={begin.lsn}")
        self._measuring = False

    def poll(self, patience_s: float) -> WalEnd | None:
        """Return the end once it is known."""
        try:
            return self.wait(patience_s)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout_s: float) -> WalEnd:
        """Wait for the end.

        :raises subprocess.TimeoutExpired: it took longer.
        """
        while True:
            self._process.wait(timeout_s)
            found = self._conclude()
            if found is not None:
                return found

    def end(self) -> None:
        """Give up."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._close()

    def _launch(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            (*self._argv, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**ENVIRONMENT, **job_mark(os.environ)},  # main ends it should we be killed
        )

    def _conclude(self) -> WalEnd | None:
        output, errors = _text(self._process.stdout), _text(self._process.stderr)
        self._close()
        measured = _LENGTH.search(output)
        if measured is not None and self._measuring:
            end = advance(Lsn.parse(measured[2]), int(measured[1]), self._segment_bytes)
            return WalEnd(lsn=end, timeline=self._begin.timeline)
        last = None if self._measuring else _LAST_RECORD.search(errors)
        if last is not None:
            self._measuring = True
            self._process = self._launch(f"--start={last[1]}", "--limit=1")
            return None
        if _NOTHING_AFTER.search(errors) is not None:
            return WalEnd(lsn=self._begin.lsn, timeline=self._begin.timeline)
        missing = _NO_FILE.search(errors)
        if missing is None:  # an end that is too early would let a diverged server follow: better none
            raise DataDirectoryError(f"pg_waldump ended with {self._process.returncode}: {errors.strip()[-200:]}")
        end = segment_start(missing[1], self._segment_bytes)
        return WalEnd(lsn=max(end, self._begin.lsn), timeline=self._begin.timeline)

    def _close(self) -> None:
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


def _text(stream: IO[str] | None) -> str:
    return "" if stream is None or stream.closed else stream.read()
