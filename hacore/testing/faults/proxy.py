"""A TCP proxy on loopback that can be told to delay, drip, swallow or cut what passes through it.

It knows no protocol. A fault is in force for what arrives while it is set; connections that are open feel it, too.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Self

Place = tuple[str, int]
_CHUNK: Final = 1 << 16
_CONNECT_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to the bytes."""

    answer_delay_s: float = 0.0  # each piece of an answer waits
    drip_s: float = 0.0  # answers come one byte at a time, this far apart
    swallow_requests: bool = False  # connections are accepted, nothing reaches the server
    swallow_answers: bool = False  # the server receives and acts, the client never hears of it
    refuse: bool = False  # new connections end at once


class TcpProxy:
    """Stands before one server. Used as a block.

    :param place: where it listens; port 0: any that is free.
    """

    def __init__(self, target: Place, place: Place = ("127.0.0.1", 0)) -> None:
        self._target = target
        self._listener = socket.create_server(place)
        self._mutex = threading.Lock()
        self._open: set[socket.socket] = set()
        self._fault = Fault()
        self.used_at = 0.0  # when a client last sent something
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The port to connect to."""
        return int(self._listener.getsockname()[1])

    @property
    def endpoint(self) -> str:
        """Host and port."""
        return f"{self._listener.getsockname()[0]}:{self.port}"

    def aim(self, target: Place) -> None:
        """Send new connections elsewhere."""
        self._target = target

    def set(self, fault: Fault) -> None:
        """Put a fault in force."""
        self._fault = fault

    @contextlib.contextmanager
    def suffering(self, fault: Fault) -> Iterator[None]:
        """Put a fault in force for the time of the block; connections that felt it are cut at its end."""
        self.set(fault)
        try:
            yield
        finally:
            self.set(Fault())
            self.cut()

    def cut(self) -> None:
        """End every connection that is open."""
        with self._mutex:
            held, self._open = self._open, set()
        for one in held:
            _end(one)

    def close(self) -> None:
        """End everything."""
        _end(self._listener)
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), name="proxy connection", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if self._fault.refuse:
            _end(client)
            return
        try:
            server = socket.create_connection(self._target, timeout=_CONNECT_S)
        except OSError:
            _end(client)
            return
        server.settimeout(None)
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._mutex:
            self._open |= {client, server}
        threading.Thread(target=self._pass_requests, args=(client, server), name="proxy requests", daemon=True).start()
        self._pass_answers(server, client)

    def _pass_requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(_CHUNK):
                self.used_at = time.monotonic()
                if not self._fault.swallow_requests:
                    server.sendall(data)
        self._both_end(client, server)

    def _pass_answers(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(_CHUNK):
                self._pass_answer(data, client)
        self._both_end(client, server)

    def _pass_answer(self, data: bytes, client: socket.socket) -> None:
        fault = self._fault
        if fault.swallow_answers:
            return
        time.sleep(fault.answer_delay_s)
        if fault.drip_s:
            for byte in data:
                client.sendall(bytes([byte]))
                time.sleep(fault.drip_s)
        else:
            client.sendall(data)

    def _both_end(self, *held: socket.socket) -> None:
        with self._mutex:
            self._open -= set(held)
        for one in held:
            _end(one)


def _end(held: socket.socket) -> None:
    with contextlib.suppress(OSError):
        held.shutdown(socket.SHUT_RDWR)
    held.close()


@contextlib.contextmanager
def all_suffering(proxies: Iterable[TcpProxy], fault: Fault) -> Iterator[None]:
    """Put a fault on every one of these ways while the block lasts."""
    with contextlib.ExitStack() as stack:
        for proxy in proxies:
            stack.enter_context(proxy.suffering(fault))
        yield


def newest_suffering(proxies: Iterable[TcpProxy], fault: Fault) -> AbstractContextManager[None]:
    """Put a fault on the way that was used last, while the others go on."""
    return max(proxies, key=lambda proxy: proxy.used_at).suffering(fault)
