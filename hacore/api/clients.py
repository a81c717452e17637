"""The connections that are open: which are ready, which are late, and which go first when there are too many.

Only the server's thread touches it. It knows neither listeners nor what a request means.
"""

import select
import socket
import ssl
import time
from typing import Final

from gunicorn.config import Config

from hacore.api.connection import Connection, Handle, Refuse, Want
from hacore.api.request import Peer

_MASKS: Final = {Want.READ: select.EPOLLIN, Want.WRITE: select.EPOLLOUT, Want.NOTHING: 0}


class Clients:
    """All connections by their descriptor, oldest first."""

    def __init__(self, epoll: select.epoll, limit: int, config: Config, handle: Handle, refuse: Refuse) -> None:
        self._epoll, self._limit, self._config = epoll, limit, config
        self._handle, self._refuse = handle, refuse
        self._connections: dict[int, Connection] = {}
        self._current: Connection | None = None

    def __len__(self) -> int:
        return len(self._connections)

    def __contains__(self, fd: int) -> bool:
        return fd in self._connections

    def welcome(self, client: socket.socket, place: tuple[str, int], context: ssl.SSLContext | None) -> None:
        """Take a new connection in; where there are too many, the one that has owed its request for longest goes."""
        if len(self._connections) >= self._limit:
            self.make_room()
        try:
            client.settimeout(0)
            if context is not None:
                client = context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        except OSError:  # gone again
            client.close()
            return
        peer = Peer(host=place[0], port=place[1], is_tls=context is not None)
        connection = Connection(client, peer, self._config, self._handle, self._refuse)
        connection.begin(time.monotonic())
        self._connections[client.fileno()] = connection
        self._advance(client.fileno(), connection)

    def on_event(self, fd: int, events: int) -> None:
        """Go on with a connection whose socket is ready."""
        connection = self._connections[fd]
        if events & (select.EPOLLHUP | select.EPOLLERR) and not events & select.EPOLLIN:
            self._close(fd, connection)
        else:
            self._advance(fd, connection)

    def answer(self, connection: Connection, data: bytes) -> None:
        """Give a connection its answer. It may have gone meanwhile, and its descriptor be somebody else's."""
        if connection is self._current:
            connection.answer(data, time.monotonic())
            return
        fd = connection.sock.fileno()
        if self._connections.get(fd) is connection:
            connection.answer(data, time.monotonic())
            self._advance(fd, connection)

    def drop_late(self) -> None:
        """Close those whose time is over. Whoever makes an answer has a deadline of his own."""
        now = time.monotonic()
        for fd, connection in list(self._connections.items()):
            if now > connection.deadline and not connection.is_waiting:
                self._close(fd, connection)

    def drop_unfinished(self) -> None:
        """Close those that still owe their request."""
        for fd, connection in list(self._connections.items()):
            if connection.is_reading:
                self._close(fd, connection)

    def make_room(self) -> None:
        """Drop the connection that has owed its request for longest."""
        late = next(((fd, one) for fd, one in self._connections.items() if one.is_reading), None)
        if late is not None:
            self._close(*late)

    def _advance(self, fd: int, connection: Connection) -> None:
        self._current = connection
        want = connection.progress(time.monotonic())
        self._current = None
        if want is Want.CLOSE:
            self._close(fd, connection)
        elif connection.watched is None:  # most are answered at once, and never come this far
            self._epoll.register(fd, _MASKS[want])
        elif connection.watched is not want:
            self._epoll.modify(fd, _MASKS[want])
        connection.watched = want

    def _close(self, fd: int, connection: Connection) -> None:
        del self._connections[fd]
        if connection.watched is not None:
            self._epoll.unregister(fd)
        connection.close()
