"""The deadline word: eight aligned bytes in shared memory that the agent stores and the guard reads, without a round trip.

The value is an instant of the boot-time clock in nanoseconds, 0 while there is none. Each generation of the agent has a word of its
own, so that one that was replaced stores into memory that nobody reads. Does not know what happens at the deadline.
"""

import fcntl
import mmap
import os
from typing import Final

WORD_BYTES: Final = 8
_SIZE: Final = mmap.PAGESIZE


class Word:
    """One mapping of a word, in the guard or in the agent. A store or a load of an aligned word is one instruction."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, _SIZE)
        self._view = memoryview(self._map)[:WORD_BYTES].cast("Q")

    def load(self) -> int:
        """The instant that was stored last."""
        return self._view[0]

    def store(self, value: int) -> None:
        """Put an instant into the word."""
        self._view[0] = value

    def close(self) -> None:
        """Give the mapping back."""
        self._view.release()
        self._map.close()


def create_memory(name: str, size: int = _SIZE) -> int:
    """Make shared memory of a fixed size and return its descriptor, which is not inherited.

    The size is sealed: otherwise whoever maps it could shorten it, and the next look of another process would end that process.
    """
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except OSError:
        os.close(fd)
        raise
    return fd
