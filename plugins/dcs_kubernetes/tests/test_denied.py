"""A server that does not let us in, beside one that does: each may know of a right or a token, or not yet."""

import contextlib
import http
import itertools
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hacore.model.clock import BootClock
from hacore.testing.conformance.store import CALL_S, now
from hacore_dcs_kubernetes.access import Access, Token
from hacore_dcs_kubernetes.client import Client, RefusedByServerError


@dataclass(slots=True)
class Door:
    """A server with one answer."""

    status: int
    url: str = ""
    asked: list[str] = field(default_factory=list)  # with which token

    @contextlib.contextmanager
    def open(self) -> Iterator[str]:
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                door.asked.append(self.headers.get("Authorization", ""))
                self.send_response(door.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_address[1]}"
            finally:
                server.shutdown()
                thread.join()


def client_of(*servers: str) -> Client:
    clock = BootClock()
    return Client(Access(servers=servers, tls=None, token=Token("text", None, clock)), clock)


def asking_first(first: str, second: str) -> Client:
    """A client begins with any server."""
    return next(client for _ in itertools.count() if (client := client_of(first, second)).servers[0] == first)


@pytest.mark.parametrize("status", [http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN])
def test_who_is_not_let_in_asks_the_next_server(status: int) -> None:
    closed, well = Door(status), Door(http.HTTPStatus.OK)
    with closed.open() as first, well.open() as second, contextlib.closing(asking_first(first, second)) as client:
        for _ in range(4):
            assert client.get("/", until=now() + CALL_S) == {}
        assert len(closed.asked) == 1  # asked last from then on
        well.status = status
        with pytest.raises(RefusedByServerError) as caught:
            client.get("/", until=now() + CALL_S)
        assert (caught.value.status, caught.value.is_denial, caught.value.unsure) == (status, True, False)


def test_who_is_not_let_in_by_the_only_server_that_answers_is_told_so() -> None:
    closed = Door(http.HTTPStatus.FORBIDDEN)
    with (
        closed.open() as first,
        contextlib.closing(client_of(first, "http://127.0.0.1:9")) as client,
        pytest.raises(RefusedByServerError, match="403"),
    ):
        client.get("/", until=now() + CALL_S)


def test_a_silent_server_beside_one_that_does_not_let_us_in_costs_little_of_the_time() -> None:
    closed = Door(http.HTTPStatus.FORBIDDEN)
    with closed.open() as first, socket.create_server(("127.0.0.1", 0)) as silent:
        second = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with contextlib.closing(asking_first(first, second)) as client:
            until = now() + CALL_S
            with pytest.raises(RefusedByServerError, match="403"):
                client.get("/", until=until)
            assert now() < until - CALL_S / 2


def test_a_token_that_another_thread_has_read_since_is_tried(scratch: Path) -> None:
    file = scratch / "token"
    file.write_text("old")
    token = Token(None, file, BootClock())
    sent = token.headers()
    file.write_text("new")
    assert token.renew(sent)  # by one thread; the answer to another, which had sent the same, comes later
    assert token.renew(sent)
    assert not token.renew(token.headers())


def test_connections_to_servers_that_are_gone_are_closed() -> None:
    before, after = Door(http.HTTPStatus.OK), Door(http.HTTPStatus.OK)
    with before.open() as first, after.open() as second, contextlib.closing(client_of("http://127.0.0.1:9")) as client:
        for server in (first, second):
            client.prefer((server,))
            assert client.get("/", until=now() + CALL_S) == {}
        assert client.connected == {second}
