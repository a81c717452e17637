"""One connection to the guard: a question, its answer, a limit. Does not know what is asked."""

import os
import select
import socket
import threading
import time
from collections.abc import Mapping
from typing import Final, Self

from hacore.guard import wire
from hacore.guard.paths import address_of

_RETRY_S: Final = 0.02
_SHORTEST_S: Final = 0.001


class GuardError(Exception):
    """The guard could not do it, or could not be reached."""


class GuardTimeoutError(GuardError):
    """The guard did not answer in time: whether it did it is not known."""


class GuardRefusedError(GuardError):
    """The guard understood and did not do it."""


class Channel:
    """Questions and answers, one at a time; may be used from several threads."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lock = threading.Lock()
        self._number = 0

    @classmethod
    def connect(cls, path: str, timeout_s: float) -> Self:
        """Reach the guard that listens there; one that is just starting is waited for.

        :raises GuardTimeoutError: there was none until the end of the time.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                connection.settimeout(max(deadline - time.monotonic(), _RETRY_S))
                with address_of(path) as address:
                    connection.connect(address)
            except OSError as error:
                connection.close()
                if time.monotonic() >= deadline:
                    raise GuardTimeoutError(f"{path}: no guard answers: {error}") from error
                time.sleep(_RETRY_S)
            else:
                return cls(connection)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def fileno(self) -> int:
        """The descriptor, to wait on."""
        return self._socket.fileno()

    def is_hung_up(self) -> bool:
        """Whether nobody is at the other end any more."""
        fd = self._socket.fileno()
        if fd < 0:
            return True
        poll = select.poll()
        poll.register(fd, select.POLLRDHUP)
        return bool(poll.poll(0))

    def call(self, op: str, fields: Mapping[str, object], timeout_s: float) -> tuple[object, int | None]:
        """Ask, and return what the guard says and the descriptor that came with it.

        :raises GuardRefusedError: it does not do that now.
        :raises GuardTimeoutError: no answer in time.
        :raises GuardError: it could not do it, or is gone.
        """
        deadline = time.monotonic() + timeout_s
        if not self._lock.acquire(timeout=timeout_s):
            raise GuardTimeoutError(f"{op}: another call holds the connection")
        try:
            self._number += 1
            self._socket.settimeout(max(deadline - time.monotonic(), _SHORTEST_S))
            self._socket.send(wire.encode({"id": self._number, "op": op, **fields}))
            answer, fd = self._answer(self._number, deadline)
            if "refused" in answer:
                raise GuardRefusedError(wire.text(answer, "refused"))
            if "error" in answer:
                raise GuardError(wire.text(answer, "error"))
        except TimeoutError as error:
            raise GuardTimeoutError(f"{op}: no answer within {timeout_s} s") from error
        except (OSError, wire.WireError) as error:
            raise GuardError(f"{op}: {error}") from error
        finally:
            self._lock.release()
        return answer.get("ok"), fd

    def _answer(self, number: int, deadline: float) -> tuple[wire.Message, int | None]:
        """The answer with this number; those of calls that ran out of time are passed over."""
        while True:
            self._socket.settimeout(max(deadline - time.monotonic(), _SHORTEST_S))
            packet, fds, _, _ = socket.recv_fds(self._socket, wire.MAX_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
            if not packet:
                raise ConnectionResetError("the guard hung up")
            answer = wire.decode(packet)
            if wire.integer(answer, "id") == number:
                return answer, (fds[0] if fds else None)
            for fd in fds:
                os.close(fd)
