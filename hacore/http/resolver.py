"""Addresses of host names. A look-up cannot be given a limit, so each runs on a thread of its own and is waited for no longer than allowed.

An address that was found stays known: after a minute it is asked for again, and used where there is no answer at once.
"""

import ipaddress
import math
import socket
import threading
from typing import Any, Final

from hacore.model.clock import Clock, Instant

Address = tuple[socket.AddressFamily, tuple[Any, ...]]  # family, and what connect() takes
_FRESH_S: Final = 60.0
_AT_ONCE_S: Final = 0.1  # what a name server that is well takes, many times over; and a quarter of what is left at most


class Resolver:
    """Looks names up. Used by one thread at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lookups: dict[tuple[str, int], _Lookup] = {}
        self._known: dict[tuple[str, int], tuple[Instant, list[Address]]] = {}

    def addresses(self, host: str, port: int, *, until: Instant) -> list[Address]:
        """Return where the host can be reached.

        :raises OSError: there is no such name, or nobody said in time.
        """
        literal = _literal(host, port)
        if literal is not None:
            return [literal]
        place = (host, port)
        known = self._known.get(place)
        if known is not None and self._clock.now() - known[0] < _FRESH_S:
            return known[1]
        lookup = self._lookups.get(place)
        if lookup is not None and self._clock.now() - lookup.ended_at >= _FRESH_S:  # nobody has asked since: newer than what was known
            known = self._take(place, lookup) or known
            lookup = None
        if lookup is None:
            lookup = self._lookups[place] = _Lookup(host, port, self._clock)
        left_s = max(0.0, until - self._clock.now())
        if lookup.ended.wait(left_s if known is None else min(_AT_ONCE_S, left_s / 4)):
            known = self._take(place, lookup) or known
        if known is not None:
            return known[1]
        raise lookup.error or TimeoutError(f"no answer in time to the question for {host}")

    def doubt(self, host: str, port: int) -> None:
        """Ask again at the next use: nobody answers where the host was."""
        known = self._known.get((host, port))
        if known is not None:
            self._known[host, port] = (-math.inf, known[1])

    def _take(self, place: tuple[str, int], lookup: "_Lookup") -> tuple[Instant, list[Address]] | None:
        """Keep what was found, as of when it was."""
        del self._lookups[place]
        if not lookup.found:
            return None
        self._known[place] = found = (lookup.ended_at, lookup.found)
        return found


class _Lookup:
    """One question to the name server, which ends when it ends."""

    def __init__(self, host: str, port: int, clock: Clock) -> None:
        self.ended = threading.Event()
        self.ended_at: Instant = math.inf
        self.found: list[Address] = []
        self.error: OSError | None = None
        threading.Thread(target=self._ask, args=(host, port, clock), name=f"look-up {host}", daemon=True).start()

    def _ask(self, host: str, port: int, clock: Clock) -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            self.found = [(family, address) for family, _, _, _, address in found]
        except OSError as error:
            self.error = error
        finally:
            self.ended_at = clock.now()
            self.ended.set()


def _literal(host: str, port: int) -> Address | None:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    return (socket.AF_INET, (host, port)) if version == 4 else (socket.AF_INET6, (host, port, 0, 0))  # noqa: PLR2004
