"""The kernel's notice that something in a directory was written, created, moved or deleted. Knows no databases."""

import ctypes
import os
import select
import struct
from pathlib import Path
from typing import Final

_CHANGES: Final = 0x2 | 0x40 | 0x80 | 0x100 | 0x200  # IN_MODIFY, IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE
_FLAGS: Final = os.O_NONBLOCK | os.O_CLOEXEC
_HEADER: Final = struct.Struct("iIII")  # watch, mask, cookie, length of the name
_OVERFLOW: Final = 0x4000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class DirectoryWatch:
    """Changes of files in one directory whose names begin with a prefix."""

    def __init__(self, directory: Path, prefix: str) -> None:
        self._prefix = prefix.encode()
        self._fd: int = _LIBC.inotify_init1(_FLAGS)
        if self._fd < 0:
            raise _failure("inotify_init1")
        if _LIBC.inotify_add_watch(self._fd, os.fsencode(directory), _CHANGES) < 0:
            os.close(self._fd)
            raise _failure(f"inotify_add_watch {directory}")
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def also(self, descriptor: int) -> None:
        """End each wait when this descriptor becomes readable, too."""
        self._poll.register(descriptor, select.POLLIN)

    def wait(self, timeout_s: float) -> bool:
        """Wait for a change; ``False`` when there was none."""
        ready = self._poll.poll(max(0.0, timeout_s) * 1000)
        return any(descriptor == self._fd for descriptor, _ in ready) and self._drain()

    def close(self) -> None:
        """Give the watch back to the kernel."""
        os.close(self._fd)

    def _drain(self) -> bool:
        events, offset, changed = os.read(self._fd, 65536), 0, False
        while offset < len(events):
            _, mask, _, length = _HEADER.unpack_from(events, offset)
            offset += _HEADER.size
            changed = changed or bool(mask & _OVERFLOW) or events[offset : offset + length].startswith(self._prefix)
            offset += length
        return changed


def _failure(call: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number)}")
