"""The loop of the REST process: one thread, epoll, whole requests. What waits for anything else waits somewhere else.

Hundreds of idle or half-open connections cost it nothing, and never keep a health check waiting. It knows sockets, not HTTP.
"""

import logging
import os
import resource
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from gunicorn.config import Config

from hacore.api.clients import Clients
from hacore.api.connection import Connection, Handle, Refuse

logger = logging.getLogger(__name__)

CONNECTIONS_MAX: Final = 1000
_SPARE_DESCRIPTORS: Final = 64
_SWEEP_S: Final = 0.5
_ACCEPTS: Final = 64
_STOP_S: Final = 2.0


class Server:
    """Answers on its listeners from :meth:`run` until :meth:`stop`. Only ``call_soon``, ``answer`` and ``stop`` are for other threads."""

    def __init__(self, config: Config, handle: Handle, refuse: Refuse) -> None:
        self._epoll = select.epoll()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake_fd, select.EPOLLIN)
        self._soon: deque[Callable[[], None]] = deque()
        self._listeners: dict[int, socket.socket] = {}
        self._context: ssl.SSLContext | None = None
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._clients = Clients(self._epoll, max(16, min(CONNECTIONS_MAX, soft - _SPARE_DESCRIPTORS)), config, handle, refuse)
        self._thread = 0
        self._stop_at: float | None = None

    def listen_on(self, listeners: Iterable[socket.socket]) -> None:
        """Listen on these and no longer on others."""
        wanted = {one.fileno(): one for one in listeners}
        for fd in self._listeners.keys() - wanted.keys():
            self._epoll.unregister(fd)
            self._listeners[fd].close()
        for fd in wanted.keys() - self._listeners.keys():
            self._epoll.register(fd, select.EPOLLIN)
        self._listeners = wanted

    def speak(self, context: ssl.SSLContext | None) -> None:
        """Use this TLS context, or none, for connections from now on."""
        self._context = context

    def run(self) -> None:
        """Serve until :meth:`stop`; requests in work get a moment to end."""
        self._thread = threading.get_ident()
        swept_at = time.monotonic()
        while not self._has_ended():
            idle = not self._clients and self._stop_at is None
            for fd, events in self._epoll.poll(-1 if idle else _SWEEP_S):
                self._on_event(fd, events)
            if time.monotonic() - swept_at >= _SWEEP_S:
                swept_at = time.monotonic()
                self._clients.drop_late()

    def call_soon(self, task: Callable[[], None]) -> None:
        """Run ``task`` in the server's thread. May be called from a signal handler."""
        self._soon.append(task)
        os.eventfd_write(self._wake_fd, 1)

    def answer(self, connection: Connection, data: bytes) -> None:
        """Answer a request, from any thread."""
        if threading.get_ident() == self._thread:
            self._clients.answer(connection, data)
        else:
            self.call_soon(lambda: self._clients.answer(connection, data))

    def stop(self) -> None:
        """Accept nothing more and end soon."""
        self.call_soon(self._begin_to_stop)

    def _has_ended(self) -> bool:
        return self._stop_at is not None and (not self._clients or time.monotonic() > self._stop_at)

    def _begin_to_stop(self) -> None:
        self.listen_on(())
        self._stop_at = time.monotonic() + _STOP_S
        self._clients.drop_unfinished()

    def _on_event(self, fd: int, events: int) -> None:
        if fd == self._wake_fd:
            with suppress(BlockingIOError):
                os.eventfd_read(self._wake_fd)
            while self._soon:
                self._soon.popleft()()
        elif fd in self._listeners:
            self._accept(self._listeners[fd])
        elif fd in self._clients:  # else closed by an event of the same poll
            self._clients.on_event(fd, events)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPTS):
            try:
                client, place = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # gone again, or out of descriptors
                logger.warning("connection not accepted", extra={"error": str(error)})
                self._clients.make_room()
                return
            self._clients.welcome(client, place[:2], self._context)
