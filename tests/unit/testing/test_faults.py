"""The proxy and the freezer do to bytes and processes what they say."""

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from hacore.testing.faults.freezer import frozen
from hacore.testing.faults.proxy import Fault, TcpProxy


@pytest.fixture
def heard() -> list[bytes]:
    return []


@pytest.fixture
def proxy(heard: list[bytes]) -> Iterator[TcpProxy]:
    """Stands before a server that notes and repeats what it hears."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(client: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := client.recv(4096):
                    heard.append(data)
                    client.sendall(data)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        with TcpProxy(listener.getsockname()) as proxy:
            yield proxy
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def client(proxy: TcpProxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=2.0) as connected:
        connected.sendall(b"hello")
        assert connected.recv(4096) == b"hello"
        yield connected


def test_answers_are_delayed(proxy: TcpProxy, client: socket.socket) -> None:
    proxy.set(Fault(answer_delay_s=0.2))
    started = time.monotonic()
    client.sendall(b"again")
    assert client.recv(4096) == b"again"
    assert time.monotonic() - started >= 0.2


def test_answers_drip(proxy: TcpProxy, client: socket.socket) -> None:
    proxy.set(Fault(drip_s=0.02))
    client.sendall(b"again")
    assert client.recv(4096) == b"a"


@pytest.mark.parametrize(("fault", "reaches"), [(Fault(swallow_answers=True), True), (Fault(swallow_requests=True), False)])
def test_swallowed_bytes_arrive_nowhere_and_the_connection_stays(
    proxy: TcpProxy, client: socket.socket, heard: list[bytes], fault: Fault, reaches: bool
) -> None:
    client.settimeout(0.2)
    with proxy.suffering(fault):
        client.sendall(b"lost")
        with pytest.raises(TimeoutError):
            client.recv(4096)
        assert (b"lost" in heard) is reaches
    assert client.recv(4096) == b""  # who felt the fault is cut at its end


def test_open_connections_are_cut_and_new_ones_refused(proxy: TcpProxy, client: socket.socket) -> None:
    proxy.set(Fault(refuse=True))
    proxy.cut()
    assert client.recv(4096) == b""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=2.0) as refused, contextlib.suppress(ConnectionError):
        assert refused.recv(4096) == b""


def test_a_frozen_process_does_nothing_until_it_is_thawed() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as cat:
        assert cat.stdin is not None
        assert cat.stdout is not None
        with frozen(cat.pid):
            cat.stdin.write(b"hello\n")
            assert cat.poll() is None
            state = open(f"/proc/{cat.pid}/stat").read().rpartition(")")[2].split()[0]  # noqa: PTH123, SIM115 - one line of a test
            assert state == "T"
        assert cat.stdout.readline() == b"hello\n"
        cat.stdin.close()
