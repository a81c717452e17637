"""Whether a PostgreSQL server takes connections: the question of pg_isready, which needs neither a user nor a password."""

import socket
import struct
from typing import Any, Final

from hacore.http.resolver import Resolver
from hacore.model.clock import BootClock
from hacore_router_pgbouncer.hosts import is_loopback

_ANSWER_S: Final = 1.0
_PROTOCOL: Final = 3 << 16
_MOST_BYTES: Final = 4096
_NOT_NOW: Final = b"C57P03\0"  # cannot_connect_now: it starts, stops or recovers


def takes_connections(hosts: object, port: object, database: object, resolver: Resolver, *, is_here: bool = True) -> bool:
    """Tell whether a server at one of these hosts answers a first packet, be it with a refusal of this user. What cannot be asked does.

    :param hosts: as PgBouncer shows them: names or addresses with commas, or the directory of a socket; nothing: its own default, which
        only it knows.
    :param is_here: PgBouncer is on this machine; from elsewhere its loopback is out of reach.
    """

    def answers(host: str) -> bool:
        is_known = host and (is_here or not is_loopback(host))
        return not is_known or _answers(host, int(str(port)), str(database), resolver)

    return any(map(answers, str(hosts or "").split(",")))


def _answers(host: str, port: int, database: str, resolver: Resolver) -> bool:
    try:
        with _connected(host, port, resolver) as connection:
            connection.settimeout(_ANSWER_S)
            connection.sendall(_first_packet(database))
            answer = connection.recv(_MOST_BYTES)
    except OSError:
        return False
    return answer[:1] in {b"R", b"E"} and _NOT_NOW not in answer


def _connected(host: str, port: int, resolver: Resolver) -> socket.socket:
    if host.startswith("/"):
        return _connect(socket.AF_UNIX, f"{host}/.s.PGSQL.{port}")
    problem = OSError()
    for family, address in resolver.addresses(host, port, until=BootClock().now() + _ANSWER_S):
        try:
            return _connect(family, address)
        except OSError as error:
            problem = error
    raise problem


def _connect(family: socket.AddressFamily, address: tuple[Any, ...] | str) -> socket.socket:
    connection = socket.socket(family)
    try:
        connection.settimeout(_ANSWER_S)
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def _first_packet(database: str) -> bytes:
    words = b"".join(word.encode() + b"\0" for word in ("user", "hacore", "database", database, ""))
    return struct.pack("!II", len(words) + 8, _PROTOCOL) + words
