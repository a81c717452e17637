"""The agent's Unix socket: takes one request per connection and answers it on a thread of its own.

It never runs in the loop's thread and knows no command: ``answer`` does. At most a few requests are in work at once; what comes on top is
refused at once, so that the loop's process never fills with threads.
"""

import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from hacore.control.wire import REQUEST_BYTES, ControlError, Reply, address, decode_request, encode_reply, read_line

logger = logging.getLogger(__name__)

Answer = Callable[[Mapping[str, Any]], Reply]

_REQUEST_S: Final = 5.0
_REPLY_S: Final = 10.0
_THREADS: Final = 24
_BACKLOG: Final = 64
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid (unix(7), SO_PEERCRED)


class ControlServer:
    """Listens on ``path`` (mode 0600) from :meth:`start` to :meth:`close`."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self._path = path
        self._answer = answer
        self._slots = threading.BoundedSemaphore(_THREADS)
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Listen. A socket that a killed agent left behind is replaced in one step, so that there is always one to connect to.

        :raises OSError: the directory cannot be written.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        try:
            with address(fresh) as short:
                listener.bind(short)
                os.chmod(short, 0o600)  # noqa: PTH101 - by the same short way as the bind
            listener.listen(_BACKLOG)
            fresh.rename(self._path)
        except OSError:
            listener.close()
            raise
        self._socket = listener
        threading.Thread(target=self._accept, args=(listener,), name="control", daemon=True).start()

    def close(self) -> None:
        """Listen no more. Requests in work end with the process."""
        if self._socket is not None:
            with suppress(OSError):  # a thread in accept is woken by this; after that the other end may be gone already
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None
            self._path.unlink(missing_ok=True)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                if self._socket is not listener:
                    return
                time.sleep(0.1)  # out of descriptors: those in work give theirs back
                continue
            if not self._slots.acquire(blocking=False):
                with connection:
                    _send(connection, Reply(status=503, text="too many requests are in work"))
                continue
            threading.Thread(target=self._serve, args=(connection,), name="control-request", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:  # closed also where an answer fails: whoever asked must not wait for it
                _send(connection, self._reply(connection))
        finally:
            self._slots.release()

    def _reply(self, connection: socket.socket) -> Reply:
        try:
            if not _is_ours(connection):
                return Reply(status=403, text="only the agent's own user may command it")
            line = read_line(connection, limit=REQUEST_BYTES, deadline=time.monotonic() + _REQUEST_S)
            return self._answer(decode_request(line))
        except (ControlError, OSError) as error:
            return Reply(status=400, text=str(error) or "the request did not arrive in time")


def _is_ours(connection: socket.socket) -> bool:
    _, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return uid in {0, os.geteuid()}


def _send(connection: socket.socket, reply: Reply) -> None:
    connection.settimeout(_REPLY_S)
    try:
        connection.sendall(encode_reply(reply))
    except OSError as error:  # whoever asked has gone
        logger.debug("reply not delivered", extra={"error": str(error), "status": reply.status})
