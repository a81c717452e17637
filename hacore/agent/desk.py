"""Where other threads leave what they want of the loop, and where they are told how it went.

Implements :class:`hacore.control.port.Loop`. Knows no store and no rule.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from hacore.errors import DcsUnavailableError, HacoreError
from hacore.interfaces import Dcs
from hacore.loop import Turn
from hacore.model.commands import Command, ReloadCommand
from hacore.model.world import Decision, World
from hacore.plugins.calling import isolated

logger = logging.getLogger(__name__)

T = TypeVar("T")

_ANSWERS_KEPT: Final = 100


@dataclass(slots=True)
class _Errand:
    """A function to run in the loop's thread."""

    run: Callable[[Dcs, World], object]
    deadline: float
    done: threading.Event = field(default_factory=threading.Event)
    result: object = None
    error: HacoreError | None = None
    is_given_up: bool = False


class Desk:
    """All methods may be called from any thread; :meth:`errands` and :meth:`turned` from the loop's alone."""

    def __init__(self, wake: Callable[[], None], read_settings: Callable[[], None]) -> None:
        self._wake = wake
        self._read_settings = read_settings
        self._changed = threading.Condition()
        self._errands: deque[_Errand] = deque()
        self._commands: dict[str, Command] = {}
        self._answers: dict[str, tuple[bool, str]] = {}
        self._latest: tuple[World, Decision] | None = None

    def call(self, fn: Callable[[Dcs, World], T], timeout_s: float) -> T:
        """Run ``fn`` between two turns; an agent that has just been started is waited for.

        :raises DcsUnavailableError: it raised it, or was not begun in time.
        """
        errand = _Errand(run=fn, deadline=time.monotonic() + timeout_s)
        with self._changed:
            if not self._changed.wait_for(lambda: self._latest is not None, timeout_s):
                raise DcsUnavailableError("the agent has not looked at the store yet")
            self._errands.append(errand)
        self._wake()
        if not errand.done.wait(errand.deadline - time.monotonic()):
            with self._changed:
                if errand in self._errands:
                    self._errands.remove(errand)
                    errand.is_given_up = True
            if errand.is_given_up:
                raise DcsUnavailableError(f"the agent was busy for {timeout_s:g} s")
            errand.done.wait(timeout_s)
        if errand.error is not None:
            raise errand.error
        if not errand.done.is_set():
            raise DcsUnavailableError(f"the store did not answer within {timeout_s:g} s")
        result: T = errand.result  # type: ignore[assignment]  # what ``fn`` returned
        return result

    def latest(self) -> tuple[World, Decision] | None:
        """Return the newest turn."""
        with self._changed:
            return self._latest

    def wait_for(self, predicate: Callable[[World, Decision], T | None], timeout_s: float) -> T | None:
        """Wait until ``predicate`` answers."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                found = None if self._latest is None else predicate(*self._latest)
                left_s = deadline - time.monotonic()
                if found is not None or left_s <= 0:
                    return found
                self._changed.wait(left_s)

    def submit(self, command: Command) -> None:
        """Put a command into the world of the next turn; a reload as soon as the files are read, which no turn waits for."""
        if isinstance(command, ReloadCommand):
            threading.Thread(target=self._read_first, args=(command,), name="reload", daemon=True).start()
        else:
            self._put(command)

    def result(self, command_id: str, timeout_s: float) -> tuple[bool, str] | None:
        """Wait for the answer to a command."""
        with self._changed:
            self._changed.wait_for(lambda: command_id in self._answers, timeout_s)
            return self._answers.get(command_id)

    def cancel(self, command_id: str) -> bool:
        """Take a command out of the world."""
        with self._changed:
            return self._commands.pop(command_id, None) is not None

    def wake(self) -> None:
        """Begin the next turn at once."""
        self._wake()

    def _read_first(self, command: Command) -> None:
        self._read_settings()
        self._put(command)

    def _put(self, command: Command) -> None:
        with self._changed:
            self._commands[command.id] = command
        self._wake()

    # --- the loop's thread -----------------------------------------------------------------------------------------------

    def commands(self) -> tuple[Command, ...]:
        """Return the commands that no rule has answered yet."""
        with self._changed:
            return tuple(self._commands.values())

    def run_errands(self, dcs: Dcs) -> None:
        """Run what other threads want of the store."""
        while True:
            with self._changed:
                if not self._errands or self._latest is None:
                    return
                errand, world = self._errands.popleft(), self._latest[0]
            if time.monotonic() < errand.deadline:
                try:
                    errand.result = isolated("command", lambda: errand.run(dcs, world))  # noqa: B023 - called at once
                except HacoreError as error:  # the thread that asked raises it
                    errand.error = error
            else:
                errand.error = DcsUnavailableError("the agent was busy")
            errand.done.set()

    def turned(self, turn: Turn) -> None:
        """Take note of a turn."""
        with self._changed:
            self._latest = (turn.world, turn.decision)
            for command_id, answer in turn.answers.items():
                self._commands.pop(command_id, None)
                self._answers[command_id] = answer
            while len(self._answers) > _ANSWERS_KEPT:
                del self._answers[next(iter(self._answers))]
            self._changed.notify_all()
