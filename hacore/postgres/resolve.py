"""Names to numeric addresses without ever waiting for a name server in the caller's thread (safety.md 3.5)."""

import ipaddress
import socket
import threading
import time
from typing import Final

_KEEP_S: Final = 60.0
_LOOPBACK: Final = {"localhost": "127.0.0.1"}


class Resolver:
    """Looks names up on a thread of its own; an answer that has been had is kept, and used on when the name server is gone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[str, tuple[float, str]] = {}
        self._asking: dict[str, threading.Thread] = {}

    def address(self, host: str, *, timeout_s: float) -> str | None:
        """Return a numeric address of ``host``; ``None`` where none is known in time."""
        numeric = _LOOPBACK.get(host) or numeric_or_none(host)
        if numeric is not None:
            return numeric
        with self._lock:
            known = self._answers.get(host)
            thread = self._asking.get(host)
            if (known is None or time.monotonic() - known[0] > _KEEP_S) and (thread is None or not thread.is_alive()):
                thread = threading.Thread(target=self._ask, args=(host,), name=f"resolve {host}", daemon=True)
                self._asking[host] = thread
                thread.start()
        if known is None and thread is not None:
            thread.join(timeout_s)
            known = self._answers.get(host)
        return known[1] if known else None

    def _ask(self, host: str) -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        with self._lock:
            self._answers[host] = (time.monotonic(), str(found[0][4][0]))


def numeric_or_none(host: str) -> str | None:
    """Return ``host`` if it is an address already."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return host
