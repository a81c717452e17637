"""The agent's side of the guard: blocking calls, each with a limit, and the deadline word, which takes no call at all.

May be used from several threads. Does not reconnect: a guard that was lost took its server with it, and the caller has to know.
"""

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from hacore.guard import wire
from hacore.guard.channel import Channel, GuardError, GuardRefusedError, GuardTimeoutError
from hacore.guard.kernel import NS_PER_S
from hacore.guard.paths import SOCKET_NAME
from hacore.guard.values import DisarmReason, FenceKind, Fired, GuardState, StartRefused, StartServer
from hacore.guard.word import Word

__all__ = ["GuardClient", "GuardError", "GuardRefusedError", "GuardTimeoutError", "state_from"]

DEFAULT_TIMEOUT_S: Final = 2.0


class GuardClient:
    """One connection to a guard."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._word: Word | None = None

    @classmethod
    def connect(cls, state_dir: str, timeout_s: float) -> Self:
        """Reach the guard of this state directory; one that is just starting is waited for.

        :raises GuardTimeoutError: there was none until the end of the time.
        """
        return cls(Channel.connect(os.path.join(state_dir, SOCKET_NAME), timeout_s))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. The guard, its server and its deadline stay as they are."""
        self._channel.close()

    def fileno(self) -> int:
        """Readable when the guard ended (or answered): to wait on beside other things."""
        return self._channel.fileno()

    def attach(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> GuardState:
        """Become the agent: requests and renewals of every earlier one are without effect from here on."""
        state, fd = self._channel.call("attach", {}, timeout_s)
        if fd is None:
            raise GuardError("attach: the answer came without the deadline word")
        try:
            self._word = Word(fd)
        finally:
            os.close(fd)
        return state_from(state)

    def state(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> GuardState:
        """What the guard knows. Needs no attach."""
        return self._ask("state", {}, timeout_s)

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
            state = self._ask("start", request, timeout_s)
        except GuardRefusedError as refusal:
            return StartRefused(reason=str(refusal))
        return state.server_pid if state.server_pid is not None else StartRefused(reason="the server ended at once")

    def signal(self, signum: int, token: int | None = None, timeout_s: float = DEFAULT_TIMEOUT_S) -> GuardState:
        """Send a signal to the postmaster. With a token (SIGUSR1 to promote): only while the fence is armed for it and not due.

        :raises GuardRefusedError: no server runs, or the token is not the one in force.
        """
        return self._ask("signal", {"signum": int(signum), "token": token}, timeout_s)

    def end(self, *, kill: bool = True, timeout_s: float = DEFAULT_TIMEOUT_S) -> GuardState:
        """End every process of the server at once, without the latch; with ``kill=False`` after half a second of SIGQUIT."""
        return self._ask("end", {"kill": kill}, timeout_s)

    def arm(self, token: int, deadline_ns: int, budget_s: float, timeout_s: float = DEFAULT_TIMEOUT_S) -> GuardState:
        """Put the deadline F - D of this token in force; ``budget_s`` is D.

        :raises GuardRefusedError: the deadline has passed, or the fence fired for this token or a larger one, or is armed for one.
        """
        request = {"token": token, "deadline_ns": deadline_ns, "budget_ns": round(budget_s * NS_PER_S)}
        return self._ask("arm", request, timeout_s)

    def renew(self, deadline_ns: int) -> None:
        """Move the deadline: one store, no round trip. Without effect while disarmed, after the fence fired, and in a replaced agent.

        :raises GuardError: there is no guard any more that could read it.
        """
        if self._word is None:
            raise GuardError("renew: not attached")
        self._word.store(deadline_ns)
        if self._channel.is_hung_up():
            raise GuardError("renew: the guard hung up")

    def disarm(self, reason: DisarmReason, timeout_s: float = DEFAULT_TIMEOUT_S) -> GuardState:
        """Put the deadline out of force. A fence that fired stays so.

        :raises GuardRefusedError: the reason says stopped, and the server runs.
        """
        return self._ask("disarm", {"reason": str(reason)}, timeout_s)

    def adopt(self, pid: int, timeout_s: float = DEFAULT_TIMEOUT_S) -> GuardState:
        """Guard a postmaster that somebody else started, as far as that goes.

        :raises GuardRefusedError: it is no process of this data directory, or another server runs.
        """
        return self._ask("adopt", {"pid": pid}, timeout_s)

    def leave(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> GuardState:
        """Say good-bye and hang up: guard and server run on. A deadline that is in force stays in force."""
        state = self._ask("leave", {}, timeout_s)
        self.close()
        return state

    def quit(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """End the guard.

        :raises GuardRefusedError: its server still runs.
        """
        self._ask("quit", {}, timeout_s)
        self.close()

    def _ask(self, op: str, fields: Mapping[str, object], timeout_s: float) -> GuardState:
        return state_from(self._channel.call(op, fields, timeout_s)[0])


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
