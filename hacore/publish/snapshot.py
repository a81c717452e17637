"""The picture that the agent shares with the REST process, in memory that both have mapped.

The agent alone writes. Two instants of the boot-time clock stand outside of the document as aligned words, so that a renewal of the
lease is one store: ``written_at``, when the document was last true, and ``lease_fence_at`` (F - D; 0 while this node holds no lease).
The document is guarded by a sequence number that is odd while it is being written, and by a checksum, because a writer can be killed
at any point. It knows no health check and opens no socket.
"""

import logging
import mmap
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hacore.model.clock import Instant
from hacore.publish.picture import Picture, decode, encode, without_plugins

logger = logging.getLogger(__name__)

_HEADER: Final = 64
_SEQUENCE, _WRITTEN_AT, _FENCE_AT, _LENGTH, _CHECKSUM = range(5)  # words of eight bytes
_ATTEMPTS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a reader found. ``picture`` is ``None`` until an agent has written for the first time."""

    picture: Picture | None
    generation: int  # changes with each new document
    written_at: Instant
    lease_fence_at: Instant  # 0: no lease

    def holds_lease(self, now: Instant) -> bool:
        """Tell whether this node holds the lease and the fence has not begun."""
        return now < self.lease_fence_at

    def is_fresh(self, now: Instant) -> bool:
        """Tell whether the picture is young enough to be the basis of a good answer."""
        return self.picture is not None and now - self.written_at < self.picture.ttl_s


class _Memory:
    """One mapping, as numbers and instants. Whoever made the memory has chosen its size."""

    def __init__(self, fd: int, access: int) -> None:
        self.map = mmap.mmap(fd, 0, access=access)
        self.room = len(self.map) - _HEADER
        self.numbers = memoryview(self.map)[:_HEADER].cast("Q")
        self.instants = memoryview(self.map)[:_HEADER].cast("d")

    def close(self) -> None:
        self.numbers.release()
        self.instants.release()
        self.map.close()


class SnapshotWriter:
    """The agent's side. An agent that was started again goes on where the killed one stopped, be it inside of a document."""

    def __init__(self, fd: int) -> None:
        self._memory = _Memory(fd, mmap.ACCESS_WRITE)
        self._last: bytes | None = None
        self._is_too_large = False  # the newest picture

    def write(self, picture: Picture, *, written_at: Instant, lease_fence_at: Instant | None) -> None:
        """Show ``picture``; ``lease_fence_at`` is F - D of the lease that is held, ``None`` where none is."""
        fence_at = lease_fence_at or 0.0
        self._memory.instants[_FENCE_AT] = min(fence_at, self._memory.instants[_FENCE_AT])  # what is lost is said first
        document = self._fitting(picture)
        if document is not None and document != self._last:
            self._replace(document)
        if document is not None:  # else the picture before grows old, and nothing good is said of it
            self._memory.instants[_WRITTEN_AT] = written_at
        self._memory.instants[_FENCE_AT] = fence_at

    def renew(self, lease_fence_at: Instant | None) -> None:
        """Move F - D alone: right after a successful renewal, or ``None`` right before the lease is given back."""
        self._memory.instants[_FENCE_AT] = lease_fence_at or 0.0

    def close(self) -> None:
        """Give the mapping back; what stands in it stays."""
        self._memory.close()

    def _fitting(self, picture: Picture) -> bytes | None:
        """Return the document; without what plugins say where it would be too large; ``None``: also then. No turn ends by it."""
        whole = encode(picture)
        is_too_large = len(whole) > self._memory.room
        if is_too_large and not self._is_too_large:
            facts = {"bytes": len(whole), "most": self._memory.room}
            logger.error("picture for the REST server is too large, it is shown without what plugins say", extra=facts)
        self._is_too_large = is_too_large
        document = encode(without_plugins(picture)) if is_too_large else whole
        return document if len(document) <= self._memory.room else None

    def _replace(self, document: bytes) -> None:
        numbers = self._memory.numbers
        sequence = numbers[_SEQUENCE] | 1  # odd: also where a killed writer left it so
        numbers[_SEQUENCE] = sequence
        self._memory.map[_HEADER : _HEADER + len(document)] = document
        numbers[_LENGTH] = len(document)
        numbers[_CHECKSUM] = zlib.crc32(document)
        numbers[_SEQUENCE] = sequence + 1
        self._last = document


class SnapshotReader:
    """The REST process's side. The document is parsed once for each generation; threads may share a reader."""

    def __init__(self, fd: int, pause: Callable[[], object] = os.sched_yield) -> None:
        self._memory = _Memory(fd, mmap.ACCESS_READ)
        self._pause = pause
        self._parsed: tuple[int, Picture | None] = (0, None)

    def read(self) -> Seen:
        """Read the newest whole picture. While a writer is inside of one, or was killed there, the one before still counts."""
        written_at = self._memory.instants[_WRITTEN_AT]  # before the document: it is never taken for younger than it is
        generation, picture = self._document()
        fence_at = self._memory.instants[_FENCE_AT]
        return Seen(picture=picture, generation=generation, written_at=written_at, lease_fence_at=fence_at)

    def close(self) -> None:
        """Give the mapping back."""
        self._memory.close()

    def _document(self) -> tuple[int, Picture | None]:
        numbers = self._memory.numbers
        for _ in range(_ATTEMPTS):
            sequence = numbers[_SEQUENCE]
            if sequence == self._parsed[0]:
                break
            length, checksum = numbers[_LENGTH], numbers[_CHECKSUM]
            if sequence % 2 == 0 and length <= self._memory.room:
                document = self._memory.map[_HEADER : _HEADER + length]
                if numbers[_SEQUENCE] == sequence and zlib.crc32(document) == checksum:
                    self._parsed = (sequence, decode(document))
                    break
            self._pause()
        return self._parsed
