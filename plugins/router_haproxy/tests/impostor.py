"""Something else at the place of a runtime API."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

Talk = Callable[[socket.socket, threading.Event], None]


def silence(_: socket.socket, ended: threading.Event) -> None:
    ended.wait()


def garbage(connection: socket.socket, _: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n\xff\xfe")


def drip(connection: socket.socket, ended: threading.Event) -> None:
    while not ended.wait(0.1):
        connection.sendall(b"x")


def flood(connection: socket.socket, ended: threading.Event) -> None:
    while not ended.is_set():
        connection.sendall(b"x" * 65536)


def hang_up(_: socket.socket, __: threading.Event) -> None:
    pass


def table_of_another(connection: socket.socket, _: threading.Event) -> None:
    connection.sendall(b"# pxname,svname\npg_rw,a\n\n")


TALKS: tuple[Talk, ...] = (silence, garbage, drip, flood, hang_up, table_of_another)


@contextlib.contextmanager
def impostor(path: Path, talk: Talk) -> Iterator[None]:
    """Whoever connects hears this."""
    ended = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            talk(connection, ended)

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
