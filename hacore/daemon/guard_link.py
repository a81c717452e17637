"""The main process's hold on the guard: it sees to it that there is one, asks it whether it is well, and stops its server at the end.

Does not know leases. A guard of an earlier main process is found by its socket and taken over with its server.
"""

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from typing import Final

from hacore.daemon.heartbeat import StillWatch
from hacore.daemon.messages import say
from hacore.guard.client import GuardClient, GuardError, GuardRefusedError
from hacore.guard.kernel import NS_PER_S, boot_ns
from hacore.guard.launch import guard_argv
from hacore.guard.spawn import Program, spawn
from hacore.guard.values import GuardState

_START_PAUSE_S: Final = 1.0  # a guard that did not come up is not tried more often
_ASK_EVERY_S: Final = 10.0
_ANSWER_WITHIN_S: Final = 0.3
_POLL_S: Final = 0.05


class GuardLink:
    """One guard, kept alive."""

    def __init__(self, state_dir: str, data_dir: str, environment: Mapping[str, str]) -> None:
        self._state_dir = state_dir
        self._argv = guard_argv(state_dir, data_dir)
        self._environment = environment
        self._client: GuardClient | None = None
        self._pidfd: int | None = None
        self._start_due_s = 0.0
        self._asked_s = 0.0
        self._silence = StillWatch()
        self._answers = 0
        self._silent_s = 0.0

    @property
    def fd(self) -> int | None:
        """Readable when the guard is gone; ``None`` while there is no connection."""
        return None if self._client is None else self._client.fileno()

    @property
    def silent_s(self) -> float:
        """How long the guard has not answered while it was asked; the time of a suspended machine or a stopped main is not counted."""
        return self._silent_s

    def ensure(self, now_s: float) -> bool:
        """Connect to the guard, or start one. Answers whether there is a connection; until there is, ask again soon."""
        if self._client is None and not self._connect() and now_s >= self._start_due_s:
            self._start_due_s = now_s + _START_PAUSE_S
            program = Program(self._argv, self._environment)
            program.new_session = True
            program.cwd = "/"
            try:
                spawn(program)
            except OSError as error:
                say("error", f"the guard cannot be started: {error}")
        return self._client is not None

    def _connect(self) -> bool:
        try:
            client = GuardClient.connect(self._state_dir, 0.0)
        except GuardError:
            return False
        try:
            state = client.state(timeout_s=_ANSWER_WITHIN_S)
            self._pidfd = os.pidfd_open(state.guard_pid)
        except (GuardError, OSError):
            client.close()
            return False
        self._client = client
        self._note_answer(boot_ns() / NS_PER_S)
        say("info", f"guard {state.guard_pid} is there, server {state.server_pid}")
        return True

    def check(self, now_s: float, *, at_once: bool = False) -> None:
        """Ask the guard how it is, when it is time to. One that is gone is noticed here."""
        if now_s - self._asked_s < _ASK_EVERY_S and not at_once:
            return
        self._asked_s = now_s
        if self._ask() is not None:
            self._note_answer(now_s)
        else:
            self._silent_s = self._silence.look(self._answers, now_s, _ASK_EVERY_S)

    def _note_answer(self, now_s: float) -> None:
        self._answers += 1
        self._silent_s = self._silence.look(self._answers, now_s, _ASK_EVERY_S)

    def _ask(self) -> GuardState | None:
        if self._client is None:
            return None
        try:
            return self._client.state(timeout_s=_ANSWER_WITHIN_S)
        except GuardError:
            if not self._is_running():
                say("warning", "the guard is gone, and its server with it: it is started again")
                self._lose()
            return None

    def _is_running(self) -> bool:
        if self._pidfd is None:
            return False
        try:
            signal.pidfd_send_signal(self._pidfd, 0)
        except ProcessLookupError:
            return False
        return True

    def _lose(self) -> None:
        if self._client is not None:
            self._client.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
        self._client = self._pidfd = None
        self._start_due_s = 0.0

    def kill(self) -> None:
        """End a guard that has not answered for too long; the kernel ends its server."""
        if self._pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        self._lose()

    def quit(self) -> bool:
        """End a guard that has nothing to guard. Answers whether it ended; one whose server runs stays."""
        if self._client is None:
            return True
        try:
            self._client.quit()
        except GuardRefusedError:
            return False
        except GuardError as error:
            say("warning", f"the guard did not hear that it may end: {error}")
        self._lose()
        return True

    def stop_server(self, limit_s: float) -> None:
        """Stop the server, fast, and with force when that takes longer than the limit."""
        if self._client is None:
            return
        until_s = time.monotonic() + limit_s
        try:
            self._client.attach()
            self._client.signal(signal.SIGINT)
            while self._client.state().server_pid is not None and time.monotonic() < until_s:
                time.sleep(_POLL_S)
            if self._client.state().server_pid is not None:
                self._client.end(kill=True)
        except GuardRefusedError:
            return  # it is gone already
        except GuardError as error:
            say("error", f"the server could not be stopped: {error}")
