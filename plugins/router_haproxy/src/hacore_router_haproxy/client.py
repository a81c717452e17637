"""One exchange with a runtime API: connect, ask, read to the end, all of it before a deadline. It does not know what is said."""

import socket
from typing import Final

from hacore.errors import PluginUnavailableError
from hacore.http.resolver import Address, Resolver
from hacore.model.clock import Clock, Instant
from hacore_router_haproxy.wire import address_of

_MOST_BYTES: Final = 4 << 20
_PIECE_BYTES: Final = 1 << 16


class Client:
    """Asks one runtime API, by one thread at a time.

    :param place: a path, or ``host:port``.
    :param half_closes: whether it waits for the end of our questions before it closes the connection: the master of 2.6 does.
    """

    def __init__(self, place: str, *, half_closes: bool = False) -> None:
        self.place = place
        self._half_closes = half_closes
        self._resolver: Resolver | None = None

    def ask(self, command: str, *, clock: Clock, until: Instant) -> str:
        """Send one line and return the whole answer, at whose end HAProxy closes the connection.

        :raises PluginUnavailableError: no whole answer before ``until``; whether the line was carried out is not known.
        """
        try:
            with self._connected(clock, until) as connection:
                connection.sendall(f"{command}\n".encode())
                if self._half_closes:
                    connection.shutdown(socket.SHUT_WR)
                return self._read(connection, clock, until)
        except OSError as error:
            reason = "no answer in time" if isinstance(error, TimeoutError) else error.strerror or str(error)
            raise PluginUnavailableError(f"haproxy {self.place}: {reason}") from error

    def _connected(self, clock: Clock, until: Instant) -> socket.socket:
        problem: OSError = TimeoutError()
        for family, address in self._addresses(clock, until):
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                connection.settimeout(_left_s(clock, until))
                connection.connect(address)
            except OSError as error:
                connection.close()
                problem = error
            else:
                return connection
        raise problem

    def _addresses(self, clock: Clock, until: Instant) -> list[Address] | list[tuple[socket.AddressFamily, str]]:
        address = address_of(self.place)
        if address is None:
            raise PluginUnavailableError(f"haproxy {self.place}: neither a path nor host:port")
        if isinstance(address, str):
            return [(socket.AF_UNIX, address)]
        self._resolver = self._resolver or Resolver(clock)
        return self._resolver.addresses(*address, until=until)

    def _read(self, connection: socket.socket, clock: Clock, until: Instant) -> str:
        answer = bytearray()
        while len(answer) <= _MOST_BYTES:
            connection.settimeout(_left_s(clock, until))  # a drip of bytes does not make the exchange longer
            piece = connection.recv(_PIECE_BYTES)
            if not piece:
                return answer.decode(errors="replace")
            answer += piece
        raise PluginUnavailableError(f"haproxy {self.place}: an answer without an end")


def _left_s(clock: Clock, until: Instant) -> float:
    left_s = until - clock.now()
    if left_s <= 0:
        raise TimeoutError
    return left_s
