"""What a client may ask of the guard, request by request, and the state that every answer carries.

Checks and carries out; does not know sockets or generations.
"""

import os
from collections.abc import Callable
from typing import Final

from hacore.guard import wire
from hacore.guard.keeper import Keeper
from hacore.guard.kernel import boot_ns
from hacore.guard.wire import Message

DISARM_REASONS: Final = frozenset({"stopped", "recovery", "paused"})


class Refusal(Exception):  # noqa: N818 - an expected answer, not an error
    """Understood, and not done: the reason."""


class Operations:
    """The operations on one keeper."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self.is_quitting = False
        self.of_the_agent: dict[str, Callable[[Message], None]] = {
            "start": self._start,
            "signal": self._signal,
            "end": self._end,
            "arm": self._arm,
            "disarm": self._disarm,
            "adopt": self._adopt,
            "leave": self._leave,
        }
        self._of_anybody: dict[str, Callable[[Message], None]] = {"state": self._leave, "quit": self._quit}

    def carry_out(self, op: str, message: Message) -> None:
        """Do it.

        :raises Refusal: it is not to be done now.
        :raises wire.WireError: no such operation, or a field is wrong.
        :raises OSError: the system did not let us.
        """
        operation = self.of_the_agent.get(op) or self._of_anybody.get(op)
        if operation is None:
            raise wire.WireError("no such operation")
        operation(message)

    def state(self) -> Message:
        """What the guard knows."""
        keeper, server = self._keeper, self._keeper.server
        return {
            "guard_pid": os.getpid(),
            "server_pid": server.pid,
            "server_exit": server.exit_code,
            "is_ending": keeper.is_ending,
            "armed": keeper.latch.is_armed,
            "token": keeper.latch.token,
            "deadline_ns": keeper.latch.deadline_ns,
            "fired": None if keeper.fired is None else keeper.fired.as_message(),
            "fence": self._fence(),
        }

    def _fence(self) -> str:
        if not self._keeper.server.is_alive:
            return "none"
        return "partial" if self._keeper.server.is_foreign or not self._keeper.has_backstop else "full"

    def _start(self, message: Message) -> None:
        argv, env = wire.texts(message, "argv"), wire.environment(message, "env")
        cwd = wire.text(message, "cwd")
        log_path = None if message.get("log_path") is None else wire.text(message, "log_path")
        token, standby = wire.optional_integer(message, "token"), wire.flag(message, "standby")
        server = self._keeper.server
        if server.is_alive:
            raise Refusal(f"a server runs already, process {server.pid}")
        if not standby:
            refusal = self._keeper.latch.refusal_of_primary(token, boot_ns())
            if refusal is not None:
                raise Refusal(refusal)
        left = server.territory.inhabitants()
        if self._keeper.is_ending or left:
            raise Refusal(f"processes of the server before are still there: {left}")
        server.start(argv, env, cwd, log_path)

    def _signal(self, message: Message) -> None:
        signum, token = wire.integer(message, "signum"), wire.optional_integer(message, "token")
        if token is not None:
            refusal = self._keeper.latch.refusal_of_primary(token, boot_ns())
            if refusal is not None:
                raise Refusal(refusal)
        if not self._keeper.server.signal(signum):
            raise Refusal("no server runs")

    def _end(self, message: Message) -> None:
        self._keeper.end(is_patient=not wire.flag(message, "kill"))

    def _arm(self, message: Message) -> None:
        refusal = self._keeper.arm(
            wire.integer(message, "token"),
            wire.integer(message, "deadline_ns"),
            wire.integer(message, "budget_ns"),
        )
        if refusal is not None:
            raise Refusal(refusal)

    def _disarm(self, message: Message) -> None:
        reason = wire.text(message, "reason")
        if reason not in DISARM_REASONS:
            raise wire.WireError(f"reason: want one of {sorted(DISARM_REASONS)}")
        if reason == "stopped" and (self._keeper.server.is_alive or self._keeper.is_ending):
            raise Refusal(f"the server still runs, process {self._keeper.server.pid}")
        self._keeper.disarm()

    def _adopt(self, message: Message) -> None:
        pid = wire.integer(message, "pid")
        if self._keeper.server.is_alive:
            raise Refusal(f"a server runs already, process {self._keeper.server.pid}")
        refusal = self._keeper.server.adopt(pid)
        if refusal is not None:
            raise Refusal(refusal)

    def _leave(self, _: Message) -> None:
        """Nothing to do: the answer's state is the point. The guard stays because its server runs."""

    def _quit(self, _: Message) -> None:
        if self._keeper.server.is_alive or self._keeper.is_ending:
            raise Refusal(f"the server still runs, process {self._keeper.server.pid}")
        self.is_quitting = True
