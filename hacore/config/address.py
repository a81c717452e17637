"""Addresses as they stand in the configuration: ``host:port`` with IPv6 in brackets. It resolves no names."""

from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final

WILDCARD_HOSTS: Final = frozenset({"", "*", "0.0.0.0", "::"})  # noqa: S104 - recognised, not bound
_MAX_PORT: Final = 65535
_SMALLEST_PORT: Final = 1024
_WANTED: Final = "an address like 10.0.0.1:5432 or [::1]:5432"
_WANTED_LIST: Final = "addresses with one port at the end, like 127.0.0.1,10.0.0.1:5432"


@dataclass(frozen=True, slots=True, order=True)
class HostPort:
    """One address. The host stands without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        """Write the address as configuration and URLs want it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def is_wildcard(self) -> bool:
        """Tell whether this is an address to listen on, but none to connect to."""
        return self.host in WILDCARD_HOSTS


def parse_host_port(text: str, *, default_port: int | None = None) -> HostPort:
    """Read ``host:port``, ``[v6]:port``, ``:port`` or ``*:port``; the port may be missing where a default is given.

    :raises ValueError: with the sentence that says what is wanted.
    """
    host, port = _split(text.strip())
    if port is None:
        if default_port is None:
            raise ValueError(_WANTED)
        return HostPort(host, default_port)
    return HostPort(host, _port(port))


def parse_listen(text: str, *, default_port: int) -> tuple[tuple[str, ...], int]:
    """Read ``host[,host...][:port]``, what a server listens on; ``*`` and no host both mean every address.

    :raises ValueError: with the sentence that says what is wanted.
    """
    *front, last = (part.strip() for part in text.strip().split(","))
    tail = parse_host_port(last, default_port=default_port)
    hosts = []
    for part in front:
        host, port = _split(part)
        if port is not None or not host:
            raise ValueError(_WANTED_LIST)
        hosts.append(host)
    return (*hosts, tail.host or "*"), tail.port


def _split(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(_WANTED)
        return _ipv6(host), rest[1:] if rest else None
    if text.count(":") > 1:
        return _without_brackets(text)
    host, colon, port = text.partition(":")
    if any(mark.isspace() or mark in "/@?#" for mark in host):
        raise ValueError(_WANTED)
    return host, port if colon else None


def _without_brackets(text: str) -> tuple[str, str | None]:
    """Split ``::1:5432``: files of the field write it so, and mean a port where the last group can be one of an ordinary server."""
    host, _, port = text.rpartition(":")
    if port.isascii() and port.isdecimal() and _SMALLEST_PORT <= int(port) <= _MAX_PORT:
        with suppress(ValueError):
            return _ipv6(host), port
    return _ipv6(text), None


def _ipv6(text: str) -> str:
    try:
        IPv6Address(text)
    except ValueError as error:
        raise ValueError(_WANTED) from error
    return text


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) <= _MAX_PORT):
        raise ValueError(_WANTED)
    return int(text)
