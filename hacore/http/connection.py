"""One connection to one endpoint, every byte of it under a deadline of the boot-time clock.

HTTP itself is the standard library's; its limit is one for each read of the socket, so a server that sends a byte now and then could hold
a call forever. The sockets here take what is left of the deadline as the limit of each read.
"""

import http.client
import math
import select
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from hacore.http.certificates import Encryption
from hacore.http.resolver import Resolver
from hacore.model.clock import Clock, Instant

_MOST_BYTES: Final = 64 << 20
_CHUNK: Final = 1 << 16
_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 5), (socket.TCP_KEEPINTVL, 2), (socket.TCP_KEEPCNT, 3), (socket.TCP_NODELAY, 1))
Broken = (OSError, http.client.HTTPException)  # what a connection that does not work may raise


class NotSentError(OSError):
    """The endpoint cannot have received the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent."""

    method: str
    path: str  # with its query
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back in time."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """An answer that comes line by line until it ends."""

    status: int
    lines: Iterator[bytes]


class _Limited(socket.socket):
    """A socket whose every operation ends at one deadline."""

    clock: Clock
    until: Instant = math.inf

    def limit(self) -> None:
        """Give the next operation what is left."""
        left_s = self.until - self.clock.now()
        if left_s <= 0:
            raise TimeoutError("the deadline has passed")
        self.settimeout(None if math.isinf(left_s) else left_s)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:  # noqa: ANN401 - as its base
        self.limit()
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as its base
        self.limit()
        super().sendall(*args, **kwargs)


class _LimitedTls(_Limited, ssl.SSLSocket):  # in this order: the limit is set before OpenSSL reads
    """The same, encrypted."""


class Connection:
    """A connection that is opened when it is needed and kept.

    :param endpoint: ``https://10.0.0.1:2379``.
    :param server_name: whom the server's certificate must be for, where that is not the host of the endpoint.
    """

    def __init__(self, endpoint: str, resolver: Resolver, clock: Clock, tls: Encryption | None, *, server_name: str | None = None) -> None:
        parts = urlsplit(endpoint)
        self._host, self._port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = tls if parts.scheme == "https" else None
        self._server_name = server_name or self._host
        self._resolver = resolver
        self._clock = clock
        self._socket: _Limited | None = None
        self._http: http.client.HTTPConnection | None = None
        self._is_interrupted = False

    def connect(self, until: Instant) -> None:
        """Connect unless connected.

        :raises NotSentError: not possible in time.
        """
        if self._socket is not None and not _has_ended(self._socket):
            return
        self.close()
        try:
            self._socket = self._open(until)
        except Broken as error:
            raise NotSentError(str(error)) from error
        self._http = http.client.HTTPConnection(self._host, self._port)
        self._http.sock = self._socket

    def ask(self, request: Request, *, until: Instant) -> Reply:
        """Send a request and read its answer. Any failure leaves the connection closed.

        :raises TimeoutError: it is not there by ``until``, or only because no wait of a socket counts the time in which the machine slept.
        """
        try:
            response = self._send(request, until)
            content = _whole(response)
            self._see_in_time(until)
        except BaseException:
            self.close()
            raise
        if self._http is None or self._http.sock is None or len(content) == _MOST_BYTES:  # the server closes, or there is more
            self.close()
        return Reply(status=response.status, body=content, headers={name.lower(): value for name, value in response.getheaders()})

    def stream(self, request: Request, *, silence_s: float) -> Stream:
        """Send a request whose answer goes on; no two lines of it may be further apart than ``silence_s``, nor the first from now."""
        response = self._send(request, self._clock.now() + silence_s)
        return Stream(status=response.status, lines=self._lines(response, silence_s))

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
        self._socket = self._http = None

    def interrupt(self) -> None:
        """End a read that another thread is waiting in, or would begin when it has connected: nothing more is sent here."""
        self._is_interrupted = True  # before the look at the socket: whoever connects looks in the other order
        held = self._socket
        if held is not None:
            try:
                socket.socket.shutdown(held, socket.SHUT_RDWR)
            except OSError:
                held.close()

    def _lines(self, response: http.client.HTTPResponse, silence_s: float) -> Iterator[bytes]:
        rest = b""
        while chunk := response.read1(_CHUNK):
            self._see_in_time(math.inf if self._socket is None else self._socket.until)
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line for line in lines if line)
            if len(rest) > _MOST_BYTES:
                raise http.client.LineTooLong("a line of a stream")
            if lines and self._socket is not None:  # bytes alone are no sign of life
                self._socket.until = self._clock.now() + silence_s

    def _see_in_time(self, until: Instant) -> None:
        if self._clock.now() > until:
            raise TimeoutError("the answer came too late")

    def _send(self, request: Request, until: Instant) -> http.client.HTTPResponse:
        if self._socket is None or self._http is None:
            raise NotSentError("not connected")
        if self._is_interrupted:
            raise NotSentError("interrupted")
        self._socket.until = until
        self._http.request(request.method, request.path, request.body, dict(request.headers))
        return self._http.getresponse()

    def _open(self, until: Instant) -> _Limited:
        addresses = self._resolver.addresses(self._host, self._port, until=until)
        for index, (family, address) in enumerate(addresses):
            last = index == len(addresses) - 1
            plain = _Limited(family, socket.SOCK_STREAM)
            plain.clock = self._clock
            now = self._clock.now()
            plain.until = until if last else now + (until - now) / 2
            try:
                plain.limit()
                for option, value in _KEEPALIVE:
                    plain.setsockopt(socket.IPPROTO_TCP, option, value)
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                plain.connect(address)
                return self._encrypted(plain, until)
            except OSError:
                plain.close()
                if last:
                    raise
        raise NotSentError(f"no address of {self._host}")

    def _encrypted(self, plain: _Limited, until: Instant) -> _Limited:
        if self._tls is None:
            return plain
        context = self._tls.context()
        context.sslsocket_class = _LimitedTls
        wrapped = context.wrap_socket(plain, server_hostname=self._server_name, do_handshake_on_connect=False)
        if not isinstance(wrapped, _LimitedTls):
            raise TypeError(f"{type(wrapped).__name__}: not the socket class that was asked for")
        wrapped.clock, wrapped.until = self._clock, until
        wrapped.limit()
        wrapped.do_handshake()
        return wrapped


def _whole(response: http.client.HTTPResponse) -> bytes:
    """Read a body; one that ends too early, or is too long to be read, is no answer: the library takes the first for one."""
    content = response.read(_MOST_BYTES)
    missing = response.length
    response.close()
    if missing:
        raise http.client.IncompleteRead(content, missing)
    return content


def _has_ended(connected: socket.socket) -> bool:
    """Tell whether the server has closed, or sent what nobody asked for: a request written there would be lost without a trace."""
    poll = select.poll()
    poll.register(connected, select.POLLIN | select.POLLRDHUP)
    return bool(poll.poll(0))
