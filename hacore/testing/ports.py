"""TCP ports on loopback that nobody else uses, also not a test in another process of the same run, until their owner gives them back.

They lie below those that the system hands out to clients. A lock on a file per port keeps two of us apart; who never heard of the lock is
seen because a port that is in use cannot be bound.
"""

import contextlib
import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import Final, Self

_RANGE: Final = range(16000, 31000)
_TRIES: Final = 1000


class Ports:
    """Ports that are held until the block is left."""

    def __init__(self) -> None:
        self._locks: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self) -> int:
        """Return one more port.

        :raises OSError: none was found.
        """
        for _ in range(_TRIES):
            port = random.choice(_RANGE)
            lock = _lock(port)
            if lock is None:
                continue
            if _is_free(port):
                self._locks.append(lock)
                return port
            os.close(lock)
        raise OSError(f"no free port found in {_TRIES} tries")

    def close(self) -> None:
        """Give all ports back."""
        for lock in self._locks:
            os.close(lock)
        self._locks.clear()


def _lock(port: int) -> int | None:
    """A descriptor that holds the lock of a port; ``None`` when another process has it."""
    directory = Path(tempfile.gettempdir()) / f"hacore-ports-{os.geteuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(directory / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False
