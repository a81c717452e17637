"""The words of HAProxy's runtime API: commands out, the table of ``show stat`` in. Bytes and sockets are the client's affair.

The proxy itself keeps the fencing token that it follows, so that agents which are started anew and several agents on one proxy agree:
in the address of a server that never takes a connection (``MARKER``). ``0.0.1.44`` with port 1 is token 300. Port 2: the leader under
this token has taken itself back, and only a node that holds the lease leads traffic under it again. HAProxy keeps an address over reloads
in its file of server states, and forgets it when it is restarted, together with who was ready.
"""

import csv
import io
import ipaddress
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePath
from typing import Final

MARKER: Final = "hacore-token"
READY: Final = "ready"
DRAIN: Final = "drain"
MAINT: Final = "maint"
_OPEN_PORT: Final = 1
_CLOSED_PORT: Final = 2
_LARGEST_TOKEN: Final = 2**32 - 1
_HIGHEST_PORT: Final = 65535
_TABLE: Final = "# pxname,"
_NO_SERVER: Final = ("MAINT", "DRAIN", "DOWN", "NOLB")
_SAID_OF_SUCCESS: Final = ("changed from", "no need to change", "was not configured")  # of an address; of checks that there are none
_BACKEND: Final = 1  # words of a line of states
_SERVER: Final = 3
_CHECK_PORT: Final = 21


class GarbageError(Exception):
    """An answer that no HAProxy gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server of a backend, as the proxy shows it."""

    name: str
    status: str  # UP, DOWN, MAINT, DRAIN, NOLB, no check, and forms of them
    sessions: int
    queue: int
    address: str  # ``127.0.0.1:5432``, ``[::1]:5432``; empty where it has none, or the socket's level does not show it
    is_checked: bool = False  # its checks go on, or would if it were not closed

    @property
    def admin(self) -> str:
        """Return the state that it was told to be in."""
        return next((state for word, state in (("MAINT", MAINT), ("DRAIN", DRAIN)) if self.status.startswith(word)), READY)

    @property
    def is_unresolved(self) -> bool:
        """Tell whether nobody has told the proxy yet which address its name has: it is closed then, whatever it is told."""
        return "resolution" in self.status

    @property
    def is_usable(self) -> bool:
        """Tell whether it gets new connections."""
        return not self.status.startswith(_NO_SERVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A backend, as the proxy shows it."""

    servers: Mapping[str, Server]  # without the marker
    token: int | None  # that the proxy follows; ``None``: the backend has no marker
    is_closed: bool = False  # the leader under that token was taken back
    queue: int = 0

    @property
    def open(self) -> tuple[str, ...]:
        """Return the servers that were told to take connections, or to finish those that they have."""
        return tuple(name for name, server in self.servers.items() if server.admin != MAINT)


def address_of(place: str) -> tuple[str, int] | str | None:
    """Return where a runtime API listens: a path, or host and port. ``None``: it is neither."""
    if place.startswith("/"):
        return str(PurePath(place))
    host, _, port = place.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 0 < int(port) <= _HIGHEST_PORT:
        return None
    return host, int(port)


def ip_and_port(address: str) -> tuple[IPv4Address | IPv6Address, int] | None:
    """Return what a server's address says; ``None``: it has none."""
    place = address_of(address)
    return (ipaddress.ip_address(place[0]), place[1]) if isinstance(place, tuple) else None


def server_name(member: str) -> str:
    """Return the name of a member's server: what HAProxy takes in no name is replaced."""
    return re.sub(r"[^A-Za-z0-9_.:-]", "_", member)


def show(*backends: str) -> str:
    """Ask for servers and sums of backends."""
    return ";".join(f"show stat {backend} 6 -1" for backend in backends)


def set_state(backend: str, server: str, state: str) -> str:
    """Tell a server to take connections, to finish those that it has, or neither."""
    return f"set server {backend}/{server} state {state}"


def is_state(command: str) -> bool:
    """Tell whether it is a command that puts a server into a state, which shows at once."""
    return " state " in command


def set_address(backend: str, server: str, host: str, port: int) -> str:
    """Move a server."""
    return f"set server {backend}/{server} addr {host} port {port}"


def cut(backend: str, server: str) -> str:
    """End the sessions of a server."""
    return f"shutdown sessions server {backend}/{server}"


def mark(backend: str, token: int, *, closed: bool) -> str:
    """Let the proxy keep the token that it follows."""
    host = IPv4Address(min(token, _LARGEST_TOKEN))
    return set_address(backend, MARKER, str(host), _CLOSED_PORT if closed else _OPEN_PORT)


def set_checks(backend: str, server: str, *, on: bool) -> str:
    """Let the checks of a server go on, or stand still: what they have found stays in force."""
    return f"{'enable' if on else 'disable'} health {backend}/{server}"


def states_without(states: str, servers: Container[tuple[str, str]]) -> str:
    """Return a file of states without some servers, each a backend and a name. Where it asks checks to go is the configuration's affair."""
    kept = []
    for line in states.splitlines():
        words = line.split(" ")
        if len(words) > _CHECK_PORT and not line.startswith("#"):
            if (words[_BACKEND], words[_SERVER]) in servers:
                continue
            words[_CHECK_PORT] = "0"
        kept.append(" ".join(words))
    return "\n".join(kept) + "\n"


def complaints(answer: str) -> tuple[str, ...]:
    """Return what the proxy said of commands that it did not carry out: an accepted one is answered by an empty line."""
    said, _, _ = answer.partition(_TABLE)
    lines = (line.strip() for line in said.splitlines())
    return tuple(line for line in lines if line and not any(words in line for words in _SAID_OF_SUCCESS))


def tables(answer: str, backends: Iterable[str]) -> dict[str, Shown]:
    """Return each of the backends that the answer shows.

    :raises GarbageError: it is no such answer.
    """
    rows: list[dict[str, str]] = []
    for block in answer.split(_TABLE)[1:]:
        text, _, _ = block.partition("\n\n")
        rows += csv.DictReader(io.StringIO(f"pxname,{text}"))
    try:
        return {name: _shown([row for row in rows if row["pxname"] == name]) for name in backends if any(r["pxname"] == name for r in rows)}
    except (KeyError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise GarbageError(f"no table of HAProxy: {answer[:60]!r}") from error


def _shown(rows: list[dict[str, str]]) -> Shown:
    servers = {
        row["svname"]: Server(
            name=row["svname"],
            status=row["status"],
            sessions=int(row["scur"] or 0),
            queue=int(row["qcur"] or 0),
            address=row["addr"],
            is_checked=bool(row.get("chkfail")),
        )
        for row in rows
        if row["svname"] != "BACKEND"
    }
    queue = sum(int(row["qcur"] or 0) for row in rows if row["svname"] == "BACKEND")
    token, closed = _marked(servers.pop(MARKER, None))
    return Shown(servers=servers, token=token, is_closed=closed, queue=queue)


def _marked(marker: Server | None) -> tuple[int | None, bool]:
    if marker is None:
        return None, False
    host, _, port = marker.address.rpartition(":")
    try:
        return int(IPv4Address(host)), port == str(_CLOSED_PORT)
    except ipaddress.AddressValueError:  # its address is hidden from a socket below the level operator
        return None, False
