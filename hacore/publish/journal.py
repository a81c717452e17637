"""The event journal of one node: a file of JSON lines of bounded size, written by a thread of its own.

It is for people. Nothing rests on it, so it is not fsynced, and a disk that hangs holds up nobody.
"""

import json
import logging
import os
import threading
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hacore.model.events import Event, EventKind

logger = logging.getLogger(__name__)

FILE_NAME: Final = "journal.jsonl"
SIZE_BYTES: Final = 1 << 20  # of each of two files
_MOST_WAITING: Final = 1000
_LINE_BYTES: Final = 1 << 16


class Journal:
    """Appends events. The file before the newest is kept as ``journal.jsonl.1``."""

    def __init__(self, directory: Path, *, size_bytes: int = SIZE_BYTES) -> None:
        self.lost = 0  # events that could not be written
        self._path = directory / FILE_NAME
        self._size_bytes = size_bytes
        self._changed = threading.Condition()
        self._waiting: deque[Event] = deque()
        self._is_writing = False
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self.last_id = max((event.id for event in read_journal(directory)), default=0)

    def append(self, event: Event) -> None:
        """Queue an event. Never blocks."""
        with self._changed:
            if self._is_closed or len(self._waiting) >= _MOST_WAITING:
                self.lost += 1
                return
            self._waiting.append(event)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="journal", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def close(self, timeout_s: float) -> None:
        """Write what waits, for at most ``timeout_s``, and end."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting and not self._is_writing, timeout_s)

    def _serve(self) -> None:
        while events := self._take():
            try:
                self._write("".join(f"{encode(event)}\n" for event in events))
            except OSError as error:
                self.lost += len(events)
                logger.warning("journal cannot be written", extra={"path": str(self._path), "error": str(error)})
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()

    def _take(self) -> list[Event]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            events = list(self._waiting)
            self._waiting.clear()
            self._is_writing = bool(events)
            return events

    def _write(self, text: str) -> None:
        data = text.encode()
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(fd).st_size
            if size and os.pread(fd, 1, size - 1) != b"\n":  # the last write was cut off
                data = b"\n" + data
            os.write(fd, data)
        finally:
            os.close(fd)
        if size + len(data) > self._size_bytes:
            self._path.replace(older(self._path))


def older(path: Path) -> Path:
    """Return the path under which the file before this one is kept."""
    return path.with_name(f"{path.name}.1")


def read_journal(directory: Path) -> tuple[Event, ...]:
    """Return the events of a node's journal, oldest first. A line that cannot be read is left out."""
    path = directory / FILE_NAME
    return tuple(event for one in (older(path), path) for event in _read_file(one))


def encode(event: Event) -> str:
    """Write an event as one line of JSON."""
    fields: dict[str, object] = {
        "id": event.id,
        "at": event.at.isoformat(timespec="milliseconds"),
        "kind": str(event.kind),
        "scope": event.scope,
        "member": event.member,
        "role": event.role,
    }
    if event.token is not None:
        fields["token"] = event.token
    if event.timeline is not None:
        fields["timeline"] = event.timeline
    return json.dumps({**fields, "data": dict(event.data)}, separators=(",", ":"))


def decode(line: str) -> Event:
    """Read one line.

    :raises ValueError: it is not an event.
    """
    try:
        found = json.loads(line)
        return Event(
            id=int(found["id"]),
            at=datetime.fromisoformat(found["at"]).astimezone(UTC),
            kind=EventKind(found["kind"]),
            scope=str(found["scope"]),
            member=str(found["member"]),
            role=str(found["role"]),
            token=found.get("token"),
            timeline=found.get("timeline"),
            data=tuple(found["data"].items()),
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not an event: {error}") from error


def _read_file(path: Path) -> Iterator[Event]:
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            while line := lines.readline(_LINE_BYTES):
                try:
                    yield decode(line)
                except ValueError:
                    continue  # cut off, or of a later version
    except OSError:
        return  # there is none yet
