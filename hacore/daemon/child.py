"""One supervised child: started with a parent-death signal, watched by a process descriptor, started again with growing patience.

Does not know what the child does, nor what its end means.
"""

import os
import signal
from collections.abc import Mapping, Sequence
from typing import Final

from hacore.guard.kernel import NS_PER_S, boot_ns, oom_score, set_oom_score
from hacore.guard.spawn import Program, spawn

_PAUSES_S: Final = (0.0, 1.0, 2.0, 4.0, 8.0, 10.0)  # before the first start again, the second, ...
_STEADY_S: Final = 60.0  # a child that ran for so long starts again at once


def _be_no_more_protected() -> None:
    """In the child: give up the protection from the lack of memory that the service manager meant for us and the guard."""
    score = oom_score()
    if score is not None and score < 0:
        set_oom_score(0)


class Child:
    """A program that is to run until it is told to end."""

    def __init__(
        self, name: str, argv: Sequence[str], environment: Mapping[str, str], keep: Sequence[int], *, with_capabilities: bool = False
    ) -> None:  # fmt: skip
        self.name = name
        self.argv = list(argv)
        self.pid: int | None = None
        self.pidfd: int | None = None
        self._environment = dict(environment)
        self._keep = tuple(keep)
        self._with_capabilities = with_capabilities
        self._started_s = 0.0
        self._due_s = 0.0
        self._failures = 0

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not been seen to end."""
        return self.pidfd is not None

    def is_due(self, now_s: float) -> bool:
        """Whether it is to be started now."""
        return not self.is_running and now_s >= self._due_s

    def start(self) -> None:
        """Start it. One that cannot be started counts as one that ended at once.

        :raises OSError: the system refused.
        """
        self._started_s = boot_ns() / NS_PER_S
        program = Program(self.argv, self._environment, death_signal=signal.SIGKILL)
        program.keep = self._keep
        program.before_exec = _be_no_more_protected
        program.with_capabilities = self._with_capabilities
        try:
            self.pid = spawn(program)
        except OSError:
            self._wait_before_next()
            raise
        self.pidfd = os.pidfd_open(self.pid)

    def ended(self) -> None:
        """Note that it was reaped, and when it may be started again."""
        if self.pidfd is not None:
            os.close(self.pidfd)
        self.pid = self.pidfd = None
        self._wait_before_next()

    def _wait_before_next(self) -> None:
        now_s = boot_ns() / NS_PER_S
        if now_s - self._started_s >= _STEADY_S:
            self._failures = 0
        self._due_s = now_s + _PAUSES_S[min(self._failures, len(_PAUSES_S) - 1)]
        self._failures += 1

    def send(self, signum: int) -> None:
        """Send it a signal, if it runs. Never reaches another process of the same number."""
        if self.pidfd is not None:
            try:
                signal.pidfd_send_signal(self.pidfd, signum)
            except ProcessLookupError:
                return
