"""Who serves ZooKeeper: as the configuration says, or as Exhibitor does, asked on a thread of its own where that holds up nobody."""

import http.client
import json
import logging
import random
import threading
from collections.abc import Iterable
from typing import Any, Final

from hacore.errors import DcsUnavailableError
from hacore.http.resolver import Address, Resolver
from hacore.model.clock import Clock
from hacore_dcs_zookeeper.settings import ExhibitorSettings, address

PATH: Final = "/exhibitor/v1/cluster/list"
_ASK_S: Final = 3.0
_RETRY_S: Final = 1.0
_LOOK_UP_S: Final = 0.5  # then the next server has its turn
_LONGEST_ANSWER: Final = 1 << 16
logger = logging.getLogger(__name__)


class Named:
    """The servers that the configuration names."""

    def __init__(self, servers: tuple[str, ...]) -> None:
        self._servers = servers

    def servers(self) -> tuple[str, ...]:
        """Return ``host:port`` of each server."""
        return self._servers

    def wait(self, limit_s: float) -> None:
        """Do nothing: they are known."""

    def close(self) -> None:
        """Do nothing."""


class Exhibitor:
    """The list of servers, as last heard. What an Exhibitor that does not answer said before stays in force."""

    def __init__(self, settings: ExhibitorSettings) -> None:
        self._settings = settings
        self._ended = threading.Event()
        self._heard = threading.Event()
        self._servers: tuple[str, ...] = ()
        threading.Thread(target=self._run, name="hacore-exhibitor", daemon=True).start()

    def servers(self) -> tuple[str, ...]:
        """Return ``host:port`` of each server."""
        return self._servers

    def wait(self, limit_s: float) -> None:
        """Wait for the first list.

        :raises DcsUnavailableError: none came.
        """
        if not self._heard.wait(limit_s):
            raise DcsUnavailableError(f"exhibitor: no list of servers from {', '.join(self._settings.hosts)}, port {self._settings.port}")

    def close(self) -> None:
        """Ask no more."""
        self._ended.set()

    def _run(self) -> None:
        while True:
            found = next(filter(None, map(self._ask, random.sample(self._settings.hosts, len(self._settings.hosts)))), None)
            if found:
                self._servers = found
                self._heard.set()
            if self._ended.wait(self._settings.poll_interval_s if found else min(_RETRY_S, self._settings.poll_interval_s)):
                return

    def _ask(self, host: str) -> tuple[str, ...]:
        connection = http.client.HTTPConnection(host, self._settings.port, timeout=_ASK_S)
        try:
            connection.request("GET", PATH, headers={"Accept": "application/json"})
            return read(connection.getresponse().read(_LONGEST_ANSWER))
        except (OSError, http.client.HTTPException, ValueError) as error:
            logger.debug("an Exhibitor does not say who serves", extra={"host": host, "error": str(error)})
            return ()
        finally:
            connection.close()


class Whereabouts:
    """Where each server is, and what was in the way of the newest attempt. Used by one thread, but :meth:`told`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._resolver = Resolver(clock)
        self._faults: dict[str, str] = {}

    def addresses(self, place: str) -> list[Address]:
        """Return the addresses of ``host:port``.

        :raises OSError: nobody says yet; what is said later is found by a later attempt.
        :raises ValueError: it is something else.
        """
        return self._resolver.addresses(*_parted(place), until=self._clock.now() + _LOOK_UP_S)

    def failed(self, place: str, fault: str) -> None:
        """Note what was in the way; the name is looked up again."""
        if self._faults.get(place) != fault:
            logger.info("a server cannot be connected to", extra={"server": place, "error": fault})
        self._faults[place] = fault

    def doubt(self, place: str) -> None:
        """Look up again where it is: nobody answers there."""
        self._resolver.doubt(*_parted(place))

    def reached(self, place: str) -> None:
        """Note that nothing was."""
        self._faults.pop(place, None)

    def told(self, places: Iterable[str]) -> str:
        """Say of each server what was in the way."""
        return "; ".join(": ".join(filter(None, (place, self._faults.get(place)))) for place in places) or "no servers"


def _parted(place: str) -> tuple[str, int]:
    host, _, port = place.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def read(text: bytes) -> tuple[str, ...]:
    """Read an answer of Exhibitor.

    :raises ValueError: it is something else.
    """
    found: Any = json.loads(text)
    if not (isinstance(found, dict) and isinstance(found.get("servers"), list) and isinstance(found.get("port"), int)):
        raise ValueError("no list of servers with a port")  # noqa: TRY004 - as of what is no JSON
    return tuple(address(str(server), found["port"]) for server in found["servers"])
