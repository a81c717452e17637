"""One connection of kazoo's, from its beginning to its end.

kazoo connects again by itself, waits as long as it likes, and keeps a session alive whether or not anybody renews. Here it does none of
that: a client of kazoo's has one server and one connection, every answer is waited for with our clock, and a connection that has left a
request without an answer is thrown away, because nobody could tell what a later answer belongs to.
"""

import contextlib
import logging
import random
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kazoo.client import KazooClient
from kazoo.exceptions import (
    AuthFailedError,
    ConnectionClosedError,
    ConnectionLoss,
    KazooException,
    SessionExpiredError,
    SessionMovedError,
)
from kazoo.handlers.threading import KazooTimeoutError, SequentialThreadingHandler
from kazoo.protocol.connection import STOP_CONNECTING, ConnectionHandler
from kazoo.protocol.serialization import Close, Watch
from kazoo.retry import KazooRetry

from hacore.errors import DcsUnavailableError
from hacore.http.certificates import Encryption
from hacore.http.resolver import Address
from hacore.model.clock import Clock, Instant
from hacore_dcs_zookeeper.session_file import Session
from hacore_dcs_zookeeper.settings import ZookeeperSettings

_TICK_S: Final = 0.1  # no wait of Python's counts the time in which the machine slept
_LOST: Final = (ConnectionLoss, ConnectionClosedError, SessionExpiredError, SessionMovedError)
logger = logging.getLogger(__name__)


class _Aside(logging.LoggerAdapter[logging.Logger]):
    """What kazoo has to say is for whoever looks for a fault: a connection that ends and another that begins are all in a day's work."""

    def log(self, level: int, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as the library's
        """Log it with less weight, unless it is an error; not what it says of each request, passwords included."""
        if level >= logging.WARNING:
            super().log(level if level >= logging.ERROR else logging.DEBUG, *arguments, **options)


class RejectedError(DcsUnavailableError):
    """A server answered: the request was not carried out, and another server would say the same."""


@dataclass(frozen=True, slots=True)
class Way:
    """How to get to a server, and who wants to know what."""

    settings: ZookeeperSettings
    clock: Clock
    encryption: Encryption | None
    connect_s: float  # how long one attempt may take
    on_change: Callable[[str], None]  # path of a node that has changed, from kazoo's thread


class _Reply:
    """What kazoo puts an answer in."""

    def __init__(self) -> None:
        self.value: Any = None
        self.is_there = threading.Event()

    def set(self, value: object = None) -> None:
        """Take the answer."""
        self.value = value
        self.is_there.set()

    def set_exception(self, error: Exception) -> None:
        """Take an error as the answer."""
        self.set(error)


class _Handler(SequentialThreadingHandler):  # type: ignore[misc] # kazoo has no types
    """Opens the one socket, and starts no threads for callbacks: there are none."""

    def __init__(self, way: Way) -> None:
        super().__init__()
        self._connect_s = way.connect_s
        self._encryption = way.encryption
        self._socket: socket.socket | None = None
        self.has_begun = False

    def start(self) -> None:
        """Do nothing: kazoo would start two threads."""

    def create_connection(self, *, address: tuple[str, int], hostname: str, **_: object) -> socket.socket:
        """Connect within our time, not the session's, and trust only whom we are told to: kazoo would trust the machine's own, too."""
        found: socket.socket = super().create_connection(address, timeout=self._connect_s)
        self._socket = found
        if self._encryption is not None:
            self._socket = encrypted = self._encryption.context().wrap_socket(
                found, server_hostname=hostname, do_handshake_on_connect=False
            )
            encrypted.do_handshake()
        return self._socket

    def select(self, readers: list[Any], writers: list[Any], others: list[Any], timeout: float | None = None) -> Any:  # noqa: ANN401 - kazoo's
        """Wait no longer than our time for whoever is to begin a session: kazoo gives one address of a name all the time of the session."""
        limit_s = timeout if self.has_begun or timeout is None else min(timeout, self._connect_s)
        return super().select(readers, writers, others, limit_s)

    def cut(self) -> None:
        """End the connection under kazoo, which reads the end of it at once."""
        with contextlib.suppress(OSError):  # closed already
            if self._socket is not None:
                with socket.fromfd(self._socket.fileno(), socket.AF_INET, socket.SOCK_STREAM) as same:
                    same.shutdown(socket.SHUT_RDWR)


class _Protocol(ConnectionHandler):  # type: ignore[misc] # kazoo has no types
    """kazoo's loop, which tells of its beginning and of its end, and of every change that the one watch shows."""

    def __init__(self, client: KazooClient, owner: "Connection", way: Way, addresses: Sequence[Address]) -> None:
        super().__init__(client, KazooRetry(max_tries=1), logger=_Aside(logger))
        self._owner = owner
        self._way = way
        self._addresses = addresses

    def zk_loop(self) -> None:
        """Run until the first loss of the connection."""
        try:
            super().zk_loop()
        finally:
            self._owner.has_ended()
            self.close()

    def _expand_client_hosts(self) -> list[tuple[str, str, int]]:
        """Return name, address and port of each address in any order; kazoo would look the name up, for as long as that takes."""
        ((name, _),) = self.client.hosts
        return [(name, *address[:2]) for _, address in random.sample(self._addresses, len(self._addresses))]

    def _connect_attempt(self, *arguments: object) -> object:
        """Try one address; once a connection has begun there is no other, though the name may have further addresses."""
        self._owner.is_tried()
        status = super()._connect_attempt(*arguments)
        return STOP_CONNECTING if self._owner.heard_at else status

    def _connect(self, *arguments: object) -> tuple[float, float]:
        try:
            read_ms, negotiated_ms = super()._connect(*arguments)
        except (KazooException, KazooTimeoutError) as error:
            self._owner.has_failed(error)
            raise
        self._owner.has_begun(negotiated_ms / 1000.0)  # with one server, what kazoo allows a connection is the session's time
        return read_ms, negotiated_ms

    def _send_ping(self, connect_timeout: float) -> None:
        if self._owner.may_ping():
            super()._send_ping(connect_timeout)

    def _read_watch_event(self, body: bytes, offset: int) -> None:
        event, _ = Watch.deserialize(body, offset)
        if event.path is not None:
            self._way.on_change(event.path)


class Connection:
    """A connection to one server, in one session."""

    def __init__(
        self, way: Way, place: str, addresses: Sequence[Address], *, session: Session | None, ttl_s: float, may_ping: Callable[[], bool]
    ) -> None:
        self.place = place
        self.session = Session(0, b"")  # known once it has begun
        self.may_ping = may_ping
        self.is_expired = False
        self.refusal: Exception | None = None
        self.fault = "no answer in time"  # why it has not begun
        self.negotiated_s = 0.0
        self.heard_at: Instant = 0.0
        self.ended = threading.Event()
        self._tried_at: Instant = 0.0
        self._clock = way.clock
        self._known = threading.Event()  # whether it has begun, or never will
        self._handler = _Handler(way)
        self._client = _client(way, place, self._handler, session=session, ttl_s=ttl_s)
        self._client._connection = _Protocol(self._client, self, way, addresses)  # noqa: SLF001 - kazoo has no other door
        self._connect_s = way.connect_s

    def open(self) -> bool:
        """Connect. ``False``: nobody answered in time."""
        self._client.start_async()
        self.is_tried()
        while not self._known.wait(_TICK_S) and self._clock.now() < self._tried_at + 2 * self._connect_s:  # the socket, then the session
            pass
        if self.heard_at and not self.ended.is_set():
            return True
        self.cut()
        return False

    def ask(self, requests: Sequence[Any], until: Instant) -> list[Any]:
        """Send requests, one right after the other, and return the answers; an error of a server's stands in the place of its answer.

        :raises DcsUnavailableError: no answer before ``until``, outcome unknown.
        """
        replies = [_Reply() for _ in requests]
        for request, reply in zip(requests, replies, strict=True):
            self._client._call(request, reply)  # noqa: SLF001 - kazoo's own requests come by it, too
        for reply in replies:
            while not reply.is_there.wait(max(0.0, min(_TICK_S, until - self._clock.now()))):
                if self._clock.now() >= until:
                    self.cut()
                    raise DcsUnavailableError(f"zookeeper: {self.place}: no answer in time")
        answers = [reply.value for reply in replies]
        lost = next((answer for answer in answers if isinstance(answer, _LOST)), None)
        if lost is not None:
            self.cut()
            raise DcsUnavailableError(f"zookeeper: {self.place}: {lost!r}") from lost
        if self._clock.now() > until:
            raise DcsUnavailableError(f"zookeeper: {self.place}: the answer came too late")
        self.heard_at = self._clock.now()
        return answers

    def end_session(self, limit_s: float) -> None:
        """End the session, and with it the connection."""
        self._client._call(Close(), _Reply())  # noqa: SLF001 - its `stop` waits for longer
        self.ended.wait(limit_s)

    def cut(self) -> None:
        """End the connection; the session stays."""
        self._client._stopped.set()  # noqa: SLF001 - its `stop` would end the session
        self._handler.cut()

    def is_tried(self) -> None:
        """Take note that an address is tried: it has our time from now on."""
        self._tried_at = self._clock.now()

    def has_failed(self, error: Exception) -> None:
        """Take note of what is in the way."""
        self.is_expired |= isinstance(error, SessionExpiredError)
        self.refusal = error if isinstance(error, AuthFailedError) else self.refusal
        cause = error.__context__ or error  # kazoo keeps only a part of what a socket said
        self.fault = str(cause) or repr(cause)

    def has_begun(self, negotiated_s: float) -> None:
        """Take note that there is a session, which lasts so long."""
        self._handler.has_begun = True
        self.session = Session(*self._client.client_id)
        self.negotiated_s, self.heard_at = negotiated_s, self._clock.now()
        self._known.set()

    def has_ended(self) -> None:
        """Take note that nothing will come any more."""
        self.ended.set()
        self._known.set()


def _client(way: Way, place: str, handler: _Handler, *, session: Session | None, ttl_s: float) -> Any:  # noqa: ANN401 - kazoo has no types
    return KazooClient(
        hosts=place,
        timeout=ttl_s,
        client_id=session,
        handler=handler,
        auth_data=list(way.settings.auth_data),
        connection_retry=KazooRetry(max_tries=1),
        logger=_Aside(logger),
    )
