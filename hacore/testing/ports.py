"""TCP ports on loopback that nobody else uses, also not a test in another process of the same run, until their owner gives them back.

They lie below those that the system hands out to clients. An abstract socket per port keeps two of us apart: it ends with its owner,
however that ends, and leaves no file. Who never heard of it is seen because a port that is in use cannot be bound.
"""

import contextlib
import random
import socket
from typing import Final, Self

_RANGE: Final = range(16000, 31000)
_TRIES: Final = 1000


class Ports:
    """Ports that are held until the block is left."""

    def __init__(self) -> None:
        self._locks: list[socket.socket] = []

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
            lock.close()
        raise OSError(f"no free port found in {_TRIES} tries")

    def close(self) -> None:
        """Give all ports back."""
        for lock in self._locks:
            lock.close()
        self._locks.clear()


_OURS: Final = Ports()


def free_port() -> int:
    """Return a port that stays ours until this process ends."""
    return _OURS.take()


def _lock(port: int) -> socket.socket | None:
    """A socket that holds the lock of a port; ``None`` when another process has it."""
    lock = socket.socket(socket.AF_UNIX)
    try:
        lock.bind(f"\0hacore-port-{port}")
    except OSError:  # in use
        lock.close()
        return None
    return lock


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False
