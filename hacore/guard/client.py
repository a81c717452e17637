"""The agent's side of the guard: blocking calls, each with a limit, and the deadline word, which takes no call at all.

May be used from several threads. Does not reconnect: a guard that was lost took its server with it, and the caller has to know.
"""

import os
import select
import socket
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from hacore.guard import wire
from hacore.guard.kernel import NS_PER_S
from hacore.guard.paths import SOCKET_NAME, address_of
from hacore.guard.values import DisarmReason, FenceKind, Fired, GuardState, StartRefused, StartServer
from hacore.guard.word import Word

DEFAULT_TIMEOUT_S: Final = 2.0
_RETRY_S: Final = 0.02


class GuardError(Exception):
    """The guard could not do it, or could not be reached."""


class GuardTimeoutError(GuardError):
    """The guard did not answer in time: whether it did it is not known."""


class GuardRefusedError(GuardError):
    """The guard understood and did not do it."""


class GuardClient:
    """One connection to a guard."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lock = threading.Lock()
        self._number = 0
        self._word: Word | None = None

    @classmethod
    def connect(cls, state_dir: str, timeout_s: float) -> Self:
        """Reach the guard of this state directory; one that is just starting is waited for.

        :raises GuardTimeoutError: there was none until the end of the time.
        """
        deadline = time.monotonic() + timeout_s
        path = os.path.join(state_dir, SOCKET_NAME)
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. The guard, its server and its deadline stay as they are."""
        self._socket.close()

    def fileno(self) -> int:
        """Readable when the guard ended (or answered): to wait on beside other things."""
        return self._socket.fileno()

    def attach(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> GuardState:
        """Become the agent: requests and renewals of every earlier one are without effect from here on."""
        state, fd = self._call("attach", {}, timeout_s)
        if fd is None:
            raise GuardError("attach: the answer came without the deadline word")
        try:
            self._word = Word(fd)
        finally:
            os.close(fd)
        return state

    def state(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> GuardState:
        """What the guard knows. Needs no attach."""
        return self._call("state", {}, timeout_s)[0]

    def start(self, server: StartServer, timeout_s: float = DEFAULT_TIMEOUT_S) -> int | StartRefused:
        """Start a postmaster as the guard's child; answers its process id once it was executed, long before it is ready."""
        request = {
            "argv": list(server.argv),
            "env": server.env,
            "cwd": server.cwd,
            "log_path": server.log_path,
            "token": server.token,
            "standby": server.standby,
        }
        try:
            state, _ = self._call("start", request, timeout_s)
        except GuardRefusedError as refusal:
            return StartRefused(reason=str(refusal))
        return state.server_pid if state.server_pid is not None else StartRefused(reason="the server ended at once")

    def signal(self, signum: int, token: int | None = None, timeout_s: float = DEFAULT_TIMEOUT_S) -> GuardState:
        """Send a signal to the postmaster. With a token (SIGUSR1 to promote): only while the fence is armed for it and not due.

        :raises GuardRefusedError: no server runs, or the token is not the one in force.
        """
        return self._call("signal", {"signum": int(signum), "token": token}, timeout_s)[0]

    def end(self, *, kill: bool = True, timeout_s: float = DEFAULT_TIMEOUT_S) -> GuardState:
        """End every process of the server at once, without the latch; with ``kill=False`` after half a second of SIGQUIT."""
        return self._call("end", {"kill": kill}, timeout_s)[0]

    def arm(self, token: int, deadline_ns: int, budget_s: float, timeout_s: float = DEFAULT_TIMEOUT_S) -> GuardState:
        """Put the deadline F - D of this token in force; ``budget_s`` is D.

        :raises GuardRefusedError: the deadline has passed, or the fence fired for this token or a larger one, or is armed for one.
        """
        request = {"token": token, "deadline_ns": deadline_ns, "budget_ns": round(budget_s * NS_PER_S)}
        return self._call("arm", request, timeout_s)[0]

    def renew(self, deadline_ns: int) -> None:
        """Move the deadline: one store, no round trip. Without effect while disarmed, after the fence fired, and in a replaced agent.

        :raises GuardError: there is no guard any more that could read it.
        """
        if self._word is None:
            raise GuardError("renew: not attached")
        self._word.store(deadline_ns)
        if self._is_hung_up():
            raise GuardError("renew: the guard hung up")

    def _is_hung_up(self) -> bool:
        fd = self._socket.fileno()
        if fd < 0:
            return True
        poll = select.poll()
        poll.register(fd, select.POLLRDHUP)
        return bool(poll.poll(0))

    def disarm(self, reason: DisarmReason, timeout_s: float = DEFAULT_TIMEOUT_S) -> GuardState:
        """Put the deadline out of force. A fence that fired stays so.

        :raises GuardRefusedError: the reason says stopped, and the server runs.
        """
        return self._call("disarm", {"reason": str(reason)}, timeout_s)[0]

    def adopt(self, pid: int, timeout_s: float = DEFAULT_TIMEOUT_S) -> GuardState:
        """Guard a postmaster that somebody else started, as far as that goes.

        :raises GuardRefusedError: it is no process of this data directory, or another server runs.
        """
        return self._call("adopt", {"pid": pid}, timeout_s)[0]

    def leave(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> GuardState:
        """Say good-bye and hang up: guard and server run on. A deadline that is in force stays in force."""
        state, _ = self._call("leave", {}, timeout_s)
        self.close()
        return state

    def quit(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """End the guard.

        :raises GuardRefusedError: its server still runs.
        """
        self._call("quit", {}, timeout_s)
        self.close()

    def _call(self, op: str, fields: Mapping[str, object], timeout_s: float) -> tuple[GuardState, int | None]:
        deadline = time.monotonic() + timeout_s
        if not self._lock.acquire(timeout=timeout_s):
            raise GuardTimeoutError(f"{op}: another call holds the connection")
        try:
            self._number += 1
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            self._socket.send(wire.encode({"id": self._number, "op": op, **fields}))
            answer, fd = self._answer(self._number, deadline)
        except TimeoutError as error:
            raise GuardTimeoutError(f"{op}: no answer within {timeout_s} s") from error
        except (OSError, wire.WireError) as error:
            raise GuardError(f"{op}: {error}") from error
        finally:
            self._lock.release()
        return self._state_of(op, answer), fd

    def _answer(self, number: int, deadline: float) -> tuple[wire.Message, int | None]:
        """The answer with this number; those of calls that ran out of time are passed over."""
        while True:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            packet, fds, _, _ = socket.recv_fds(self._socket, wire.MAX_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
            if not packet:
                raise ConnectionResetError("the guard hung up")
            answer = wire.decode(packet)
            if wire.integer(answer, "id") == number:
                return answer, (fds[0] if fds else None)
            for fd in fds:
                os.close(fd)

    @staticmethod
    def _state_of(op: str, answer: wire.Message) -> GuardState:
        if "refused" in answer:
            raise GuardRefusedError(wire.text(answer, "refused"))
        if "error" in answer:
            raise GuardError(f"{op}: {wire.text(answer, 'error')}")
        return state_from(answer.get("ok"))


def state_from(message: object) -> GuardState:
    """The state in an answer.

    :raises GuardError: it is none.
    """
    if not isinstance(message, dict):
        raise GuardError("an answer without state")
    try:
        return GuardState(
            guard_pid=wire.integer(message, "guard_pid"),
            generation=wire.integer(message, "generation"),
            server_pid=wire.optional_integer(message, "server_pid"),
            server_exit=wire.optional_integer(message, "server_exit"),
            is_ending=wire.flag(message, "is_ending"),
            armed=wire.flag(message, "armed"),
            token=wire.optional_integer(message, "token"),
            deadline_ns=wire.integer(message, "deadline_ns"),
            fired=_fired_from(message.get("fired")),
            fence=FenceKind(wire.text(message, "fence")),
        )
    except ValueError as error:
        raise GuardError(f"an answer that is no state: {error}") from error


def _fired_from(message: object) -> Fired | None:
    if not isinstance(message, dict):
        return None
    return Fired(
        token=wire.integer(message, "token"),
        at_ns=wire.integer(message, "at_ns"),
        took_s=wire.integer(message, "took_ns") / NS_PER_S,
        killed=wire.integer(message, "killed"),
        remaining=wire.integer(message, "remaining"),
    )
