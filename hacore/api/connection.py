"""One client: reads a whole request without ever blocking, waits for its answer, writes it, and closes.

It knows bytes and phases, not what a request means. The server calls :meth:`Connection.progress` whenever the socket is ready.
"""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from typing import Final

from gunicorn.config import Config

from hacore.api.request import HEAD_BYTES, BadRequestError, Head, Peer, parse_head

REQUEST_S: Final = 10.0  # for the whole request, the TLS handshake included
_WRITE_S: Final = 10.0
_LINGER_S: Final = 1.0
_CHUNK: Final = 1 << 16
_HEAD_END: Final = b"\r\n\r\n"


class Phase(Enum):
    """How far a connection has come."""

    HANDSHAKE = auto()
    HEAD = auto()
    BODY = auto()
    WAITING = auto()  # for an answer from somewhere else
    WRITING = auto()
    LINGERING = auto()  # the answer is sent, what the client still sends is thrown away: closing at once would take the answer back


class Want(Enum):
    """What a connection waits for."""

    READ = auto()
    WRITE = auto()
    NOTHING = auto()
    CLOSE = auto()


Handle = Callable[["Connection", Head, bytes], None]  # answers by Connection.answer, now or later
Refuse = Callable[["Connection", BadRequestError], None]


class Connection:
    """Only the server's thread touches it."""

    def __init__(self, sock: socket.socket, peer: Peer, config: Config, handle: Handle, refuse: Refuse) -> None:
        self.sock = sock
        self.peer = peer
        self.phase = Phase.HANDSHAKE if isinstance(sock, ssl.SSLSocket) else Phase.HEAD
        self.deadline = 0.0  # of time.monotonic, set by the server at the beginning
        self.watched: Want | None = None  # what the server waits for on its behalf
        self._config = config
        self._handle = handle
        self._refuse = refuse
        self._received = bytearray()
        self._head: Head | None = None
        self._output = memoryview(b"")
        self._has_unread = False

    @property
    def is_reading(self) -> bool:
        """Tell whether the client still owes its request: such a connection is the first to go when there are too many."""
        return self.phase in {Phase.HANDSHAKE, Phase.HEAD, Phase.BODY}

    @property
    def is_waiting(self) -> bool:
        """Tell whether the request is whole and its answer is not there yet: whoever makes it has a deadline of his own."""
        return self.phase is Phase.WAITING

    def begin(self, now: float) -> None:
        """Start the time for the request."""
        self.deadline = now + REQUEST_S

    def progress(self, now: float) -> Want:
        """Go on as far as the socket allows."""
        try:
            while True:
                want = self._step(now)
                if want is not None:
                    return want
        except ssl.SSLWantReadError:
            return Want.READ
        except ssl.SSLWantWriteError:
            return Want.WRITE
        except BlockingIOError:
            return Want.WRITE if self.phase is Phase.WRITING else Want.READ
        except OSError:  # the client is gone, or does not speak TLS
            return Want.CLOSE

    def answer(self, data: bytes, now: float) -> None:
        """Give the answer; the next :meth:`progress` sends it."""
        self._output = memoryview(data)
        self.deadline = now + _WRITE_S
        self.phase = Phase.WRITING

    def close(self) -> None:
        """Close, whatever the phase."""
        self.sock.close()

    def _step(self, now: float) -> Want | None:
        match self.phase:
            case Phase.HANDSHAKE:
                self._shake_hands()
                return None
            case Phase.HEAD:
                return self._read_head()
            case Phase.BODY:
                return self._read_body()
            case Phase.WAITING:
                return Want.NOTHING
            case Phase.WRITING:
                return self._write(now)
            case Phase.LINGERING:
                return None if self.sock.recv(_CHUNK) else Want.CLOSE

    def _shake_hands(self) -> None:
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.do_handshake()
            has_certificate = bool(self.sock.getpeercert(binary_form=True))
            self.peer = Peer(host=self.peer.host, port=self.peer.port, is_tls=True, has_certificate=has_certificate)
        self.phase = Phase.HEAD

    def _read_head(self) -> Want | None:
        searched = max(0, len(self._received) - len(_HEAD_END) + 1)
        if not self._receive():
            return Want.CLOSE
        end = self._received.find(_HEAD_END, searched)
        if end < 0:
            if len(self._received) > HEAD_BYTES:
                self._refused(BadRequestError(431, "the headers are too large"))
            return None
        data = bytes(self._received[: end + len(_HEAD_END)])
        del self._received[: end + len(_HEAD_END)]
        try:
            self._head = parse_head(data, self.peer, self._config)
        except BadRequestError as error:
            self._refused(error)
            return None
        self.phase = Phase.BODY
        return None

    def _read_body(self) -> Want | None:
        head = self._head
        length = (head.body_length or 0) if head else 0
        if len(self._received) < length:
            return None if self._receive() else Want.CLOSE
        body = bytes(self._received[:length])
        self._has_unread = len(self._received) > length
        self._received.clear()
        self.phase = Phase.WAITING
        if head is not None:
            self._handle(self, head, body)
        return None

    def _receive(self) -> bool:
        data = self.sock.recv(_CHUNK)
        self._received += data
        return bool(data)

    def _refused(self, error: BadRequestError) -> None:
        self._has_unread = True
        self.phase = Phase.WAITING
        self._refuse(self, error)

    def _write(self, now: float) -> Want | None:
        sent = self.sock.send(self._output)
        self._output = self._output[sent:]
        if self._output:
            return None
        if isinstance(self.sock, ssl.SSLSocket):
            with suppress(OSError):  # the closing word is sent; the client's is not waited for
                self.sock.unwrap()
            return Want.CLOSE
        if not self._has_unread:
            return Want.CLOSE
        self.sock.shutdown(socket.SHUT_WR)
        self.deadline = now + _LINGER_S
        self.phase = Phase.LINGERING
        return None
