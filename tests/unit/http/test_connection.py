"""Connections whose every byte is under a deadline, and names that stay known while nobody answers."""

import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from hacore.http.connection import Connection, Request
from hacore.http.resolver import Resolver
from hacore.model.clock import BootClock

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
PATIENCE_S = 10.0


@contextmanager
def serving(first: bytes, drip: bytes) -> Iterator[str]:
    """A server that answers once: the head, something at once, then one byte after the other."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(HEAD + first)
                for byte in itertools.cycle(drip):
                    if ended.wait(0.05):
                        return
                    try:
                        peer.sendall(bytes([byte]))
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            ended.set()
            thread.join(PATIENCE_S)


def test_bytes_that_make_no_line_are_silence() -> None:
    clock = BootClock()
    with serving(b"one\n", b"x") as endpoint:
        connection = Connection(endpoint, Resolver(clock), clock, None)
        connection.connect(clock.now() + PATIENCE_S)
        lines = connection.stream(Request(method="GET", path="/"), silence_s=0.5).lines
        assert next(lines) == b"one"
        began = clock.now()
        with pytest.raises(TimeoutError):
            next(lines)
        assert clock.now() - began < PATIENCE_S
        connection.close()


def test_lines_that_come_slowly_are_none() -> None:
    clock = BootClock()
    with serving(b"", b"x\n") as endpoint:
        connection = Connection(endpoint, Resolver(clock), clock, None)
        connection.connect(clock.now() + PATIENCE_S)
        lines = connection.stream(Request(method="GET", path="/"), silence_s=1.0).lines
        assert [next(lines) for _ in range(15)] == [b"x"] * 15
        connection.close()


class Later:
    """A clock that somebody sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def wall(self) -> datetime:
        return datetime.now(UTC)


def test_an_address_stays_known_while_the_name_server_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Later()
    resolver = Resolver(clock)
    answers = [[(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 80))]]
    silent = threading.Event()

    def look_up(*_: object, **__: object) -> object:
        if answers:
            return answers.pop()
        silent.wait(PATIENCE_S)
        raise OSError("no answer")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    first = resolver.addresses("server.example", 80, until=PATIENCE_S)
    clock.seconds = 100.0
    began = BootClock().now()
    assert resolver.addresses("server.example", 80, until=100.0 + PATIENCE_S) == first
    assert BootClock().now() - began < PATIENCE_S / 2
    silent.set()
