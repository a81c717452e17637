"""Connections whose every byte is under a deadline, and names that stay known while nobody answers."""

import itertools
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from hacore.http.connection import Broken, Connection, NotSentError, Request
from hacore.http.resolver import Resolver
from hacore.model.clock import BootClock

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
PATIENCE_S = 10.0


@contextmanager
def serving(first: bytes, drip: Iterable[int]) -> Iterator[str]:
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


@contextmanager
def answering(before: Callable[[], None], answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes") -> Iterator[str]:
    """A server that does something before it answers once, in one piece."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(65536)
                before()
                peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            thread.join(PATIENCE_S)


@pytest.mark.parametrize(
    "cut",
    [
        b"Content-Length: 3\r\n\r\n",
        b"Content-Length: 3\r\n\r\nye",
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nye",
    ],
)
def test_a_body_that_is_cut_off_is_no_answer(cut: bytes) -> None:
    clock = BootClock()
    with answering(lambda: None, b"HTTP/1.1 200 OK\r\n" + cut) as endpoint:
        connection = Connection(endpoint, Resolver(clock), clock, None)
        connection.connect(clock.now() + PATIENCE_S)
        with pytest.raises(Broken):
            connection.ask(Request(method="GET", path="/"), until=clock.now() + PATIENCE_S)
        with pytest.raises(NotSentError, match="not connected"):
            connection.ask(Request(method="GET", path="/"), until=clock.now() + PATIENCE_S)


@pytest.mark.parametrize("head", [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
def test_an_answer_without_a_body_is_whole(head: bytes) -> None:
    clock = BootClock()
    with answering(lambda: None, head) as endpoint:
        connection = Connection(endpoint, Resolver(clock), clock, None)
        connection.connect(clock.now() + PATIENCE_S)
        assert connection.ask(Request(method="GET", path="/"), until=clock.now() + PATIENCE_S).body == b""
        connection.close()


def test_who_is_interrupted_while_connecting_waits_for_no_answer() -> None:
    clock = BootClock()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = Connection(f"http://127.0.0.1:{listener.getsockname()[1]}", Resolver(clock), clock, None)
        connection.interrupt()  # before there is a socket
        connection.connect(clock.now() + PATIENCE_S)
        with pytest.raises(NotSentError, match="interrupted"):
            connection.stream(Request(method="GET", path="/"), silence_s=PATIENCE_S)
        connection.close()


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

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

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


def counted(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], threading.Event]:
    """A name server whose answer carries how often it was asked, and which answers once it may."""
    asked: list[str] = []
    may = threading.Event()

    def look_up(host: str, *_: object, **__: object) -> object:
        asked.append(host)
        number = len(asked)
        may.wait(PATIENCE_S)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"10.0.0.{number}", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked, may


def test_what_was_found_long_ago_and_never_asked_for_is_not_taken_for_new(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, may = counted(monkeypatch)
    clock = Later()
    resolver = Resolver(clock)

    def found(until: float) -> str:
        return str(resolver.addresses("server.example", 80, until=until)[0][1][0])

    def settle() -> None:
        for thread in threading.enumerate():
            if thread.name == "look-up server.example":
                thread.join(PATIENCE_S)

    may.set()
    assert found(PATIENCE_S) == "10.0.0.1"
    clock.seconds = 100.0
    may.clear()
    assert found(200.0) == "10.0.0.1"  # the second question is on its way
    may.set()
    settle()
    clock.seconds = 300_000.0
    may.clear()
    assert found(clock.seconds + PATIENCE_S) == "10.0.0.2"  # its answer is days old by now, but the newest: there is a third
    may.set()
    settle()
    assert found(clock.seconds + PATIENCE_S) == "10.0.0.3"
    assert len(asked) == 3


def test_a_name_that_is_asked_for_once_in_a_while_is_where_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, may = counted(monkeypatch)
    may.set()
    clock = Later()
    resolver = Resolver(clock)
    for number in range(1, 5):
        clock.seconds = number * 600.0
        assert resolver.addresses("server.example", 80, until=clock.seconds + 1e6)[0][1][0] == f"10.0.0.{number}"
    assert len(asked) == 4


def test_an_address_where_nobody_answers_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, may = counted(monkeypatch)
    may.set()
    resolver = Resolver(BootClock())
    until = BootClock().now() + PATIENCE_S
    resolver.doubt("server.example", 80)  # nothing is known yet
    assert resolver.addresses("server.example", 80, until=until)[0][1][0] == "10.0.0.1"
    assert resolver.addresses("server.example", 80, until=until)[0][1][0] == "10.0.0.1"
    resolver.doubt("server.example", 80)
    may.clear()
    assert resolver.addresses("server.example", 80, until=until)[0][1][0] == "10.0.0.1"  # nobody has said another yet
    may.set()
    for thread in threading.enumerate():
        if thread.name == "look-up server.example":
            thread.join(PATIENCE_S)
    assert resolver.addresses("server.example", 80, until=until)[0][1][0] == "10.0.0.2"
    assert len(asked) == 2


def test_a_question_that_is_on_its_way_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, may = counted(monkeypatch)
    clock = BootClock()
    resolver = Resolver(clock)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            resolver.addresses("server.example", 80, until=clock.now())
    may.set()
    assert resolver.addresses("server.example", 80, until=clock.now() + PATIENCE_S)[0][1][0] == "10.0.0.1"
    assert len(asked) == 1


@pytest.mark.parametrize("slept_s", [0.0, 60.0])
def test_an_answer_that_is_late_only_by_the_time_in_which_the_machine_slept_has_not_come(slept_s: float) -> None:
    clock = Later()
    with answering(lambda: clock.sleep(slept_s)) as endpoint:
        connection = Connection(endpoint, Resolver(clock), clock, None)
        connection.connect(PATIENCE_S)
        if slept_s < PATIENCE_S:
            assert connection.ask(Request(method="GET", path="/"), until=PATIENCE_S).body == b"yes"
        else:
            with pytest.raises(TimeoutError, match=r"deadline|too late"):
                connection.ask(Request(method="GET", path="/"), until=PATIENCE_S)
            with pytest.raises(NotSentError, match="not connected"):  # what may still come belongs to nothing
                connection.ask(Request(method="GET", path="/"), until=1e9)
        connection.close()


def test_a_line_that_is_late_only_by_the_time_in_which_the_machine_slept_ends_the_stream() -> None:
    clock = Later()
    begun = threading.Event()

    def bytes_of_days() -> Iterator[int]:
        begun.wait(PATIENCE_S)
        for byte in b"two\nthree\n":
            clock.sleep(60.0)
            yield byte

    with serving(b"one\n", bytes_of_days()) as endpoint:
        connection = Connection(endpoint, Resolver(clock), clock, None)
        connection.connect(PATIENCE_S)
        lines = connection.stream(Request(method="GET", path="/"), silence_s=PATIENCE_S).lines
        begun.set()
        with pytest.raises(TimeoutError):
            list(lines)
        connection.close()
