"""What a client may do wrong, and what it costs the others: nothing."""

import contextlib
import socket
import time
from pathlib import Path

import pytest

from tests.integration.api.rest import Rest
from tests.unit.api.samples import PRIMARY

KIB = 1024


@pytest.fixture
def shown(rest: Rest) -> Rest:
    rest.show(PRIMARY, lease_s=600.0)
    return rest


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"FOO / HTTP/1.0\r\n\r\n", 501, id="unknown method"),
        pytest.param(b"POST / HTTP/1.0\r\n\r\n", 501, id="POST where there is none"),
        pytest.param(b"PUT /primary HTTP/1.0\r\n\r\n", 501, id="PUT where there is none"),
        pytest.param(b"DELETE /failover HTTP/1.0\r\n\r\n", 501, id="DELETE where there is none"),
        pytest.param(b"PATCH /cluster HTTP/1.0\r\n\r\n", 501, id="PATCH where there is none"),
        pytest.param(b"GET / HTTP/3.0\r\n\r\n", 505, id="version"),
        pytest.param(b"nonsense\r\n\r\n", 400, id="nonsense"),
        pytest.param(b"\r\n\r\n", 400, id="nothing"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, id="TLS where none is spoken"),
        pytest.param(b"GET /" + b"x" * 5 * KIB + b" HTTP/1.0\r\n\r\n", 414, id="long line"),
        pytest.param(b"GET / HTTP/1.0\r\nX: " + b"x" * 20 * KIB + b"\r\n\r\n", 431, id="large header"),
        pytest.param(b"GET / HTTP/1.0\r\n" + b"X: 1\r\n" * 200 + b"\r\n", 431, id="many headers"),
        pytest.param(b"GET / HTTP/1.0\r\nX: " + b"x" * 256 * KIB, 431, id="header without an end"),
        pytest.param(b"GET / HTTP/1.0\r\nX:1\r\n Y: 2\r\n\r\n", 400, id="folded"),
        pytest.param(b"POST /restart HTTP/1.0\r\nContent-Length: 2000000\r\n\r\n", 413, id="large body announced"),
        pytest.param(b"POST /restart HTTP/1.0\r\nContent-Length: x\r\n\r\n", 400, id="length"),
        pytest.param(b"POST /restart HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, id="chunks"),
        pytest.param(b"PATCH /config HTTP/1.0\r\n\r\n", 411, id="no body"),
        pytest.param(b"PATCH /config HTTP/1.0\r\nContent-Length: 0\r\n\r\n", 400, id="empty body"),
        pytest.param(b"PATCH /config HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}", 400, id="empty object"),
        pytest.param(b"PATCH /config HTTP/1.0\r\nContent-Length: 1\r\n\r\n{", 400, id="broken JSON"),
        pytest.param(b"PATCH /config HTTP/1.0\r\nContent-Length: 2\r\n\r\n[]", 400, id="a list"),
        pytest.param(b"PATCH /config HTTP/1.0\r\nContent-Length: 4\r\n\r\nnull", 400, id="null"),
        pytest.param(b'PATCH /config HTTP/1.0\r\nContent-Length: 9\r\n\r\n{"a":NaN}', 400, id="no number"),
        pytest.param(b'PATCH /config HTTP/1.0\r\nContent-Length: 11\r\n\r\n{"a":1e999}', 400, id="number beyond all numbers"),
        pytest.param(b"PATCH /config HTTP/1.0\r\nContent-Length: 4\r\n\r\n\xff\xfe\xfd\xfc", 400, id="no text"),
        pytest.param(b'PATCH /config HTTP/1.0\r\nContent-Length: 14\r\n\r\n{"a":"\\ud800"}', 400, id="half a character"),
        pytest.param(b"PATCH /config HTTP/1.0\r\nContent-Length: 200000\r\n\r\n" + b"[" * 200_000, 400, id="deep JSON"),
        pytest.param(b'PATCH /config HTTP/1.0\r\nContent-Length: 9\r\n\r\n{"a":1}GET / HTTP/1.0\r\n\r\n', 400, id="smuggled"),
    ],
)  # fmt: skip
def test_a_bad_request_is_answered_and_the_next_one_served(shown: Rest, data: bytes, status: int) -> None:
    answer = shown.send(data)
    assert answer.status == status
    assert answer.raw.count(b"\r\nServer: ") == 1
    assert answer.headers["content-type"].startswith("text/html")
    assert shown.ask("OPTIONS", "/primary").status == 200


@pytest.mark.parametrize("path", ["/primary%0d%0aX-Injected:%201", "/replica?lag=1%0d%0aX-Injected:%201", "/x%0aSet-Cookie:%20a"])
def test_nothing_that_a_client_sends_becomes_a_header(shown: Rest, path: str) -> None:
    answer = shown.get(path)
    assert answer.status in {200, 503}
    assert not {"x-injected", "set-cookie"} & answer.headers.keys()


def test_a_second_request_on_a_connection_is_not_served(shown: Rest) -> None:
    answer = shown.send(b"GET /primary HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n" * 3)
    assert answer.raw.count(b"HTTP/1.0 200 OK") == 1


def test_a_request_may_come_in_pieces(shown: Rest) -> None:
    with shown.connect() as client:
        for byte in b"GET /primary HTTP/1.0\r\nX: 1\r\n\r\n":
            client.sendall(bytes([byte]))
        assert client.makefile("rb").readline() == b"HTTP/1.0 200 OK\r\n"


def test_a_client_that_stops_sending_is_still_answered(shown: Rest) -> None:
    with shown.connect() as client:
        client.sendall(b"GET /primary HTTP/1.0\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        assert client.makefile("rb").readline() == b"HTTP/1.0 200 OK\r\n"


def test_clients_that_hang_up_at_any_point_cost_nothing(shown: Rest) -> None:
    request = b"GET /patroni HTTP/1.0\r\nX: 1\r\n\r\n"
    for length in range(len(request) + 1):
        with shown.connect() as client:
            client.sendall(request[:length])
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    assert shown.ask("OPTIONS", "/primary").status == 200


def test_three_hundred_idle_and_half_open_connections_keep_no_check_waiting_and_are_dropped(shown: Rest) -> None:
    beginnings = (b"", b"GET /primary HT", b"GET /primary HTTP/1.0\r\nX: 1\r\n", b"POST /restart HTTP/1.0\r\nContent-Length: 100\r\n\r\nab")
    with contextlib.ExitStack() as stack:
        clients = []
        for number in range(300):
            client = stack.enter_context(shown.connect())
            client.sendall(beginnings[number % len(beginnings)])
            clients.append(client)
        for _ in range(100):
            began = time.monotonic()
            assert shown.ask("OPTIONS", "/primary").status == 200
            assert time.monotonic() - began < 1.0
        deadline = time.monotonic() + 20.0
        for client in clients:
            client.settimeout(max(0.1, deadline - time.monotonic()))
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(10) == b""


def test_more_connections_than_are_kept_push_out_the_oldest_and_no_check(shown: Rest, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(shown.connect())
        for _ in range(700):
            stack.enter_context(shown.connect())
        second = [stack.enter_context(shown.connect()) for _ in range(250)]
        for _ in range(80):
            stack.enter_context(shown.connect())
        began = time.monotonic()
        assert shown.ask("OPTIONS", "/primary").status == 200
        assert time.monotonic() - began < 2.0
        first.settimeout(5.0)
        with contextlib.suppress(ConnectionResetError):
            assert first.recv(10) == b""
        second[-1].sendall(b"OPTIONS /primary HTTP/1.0\r\n\r\n")
        assert second[-1].recv(100).startswith(b"HTTP/1.0 200 OK")
