"""What starts, signals and ends the server: the guard, which is the postmaster's parent (safety.md 4).

:class:`hacore.guard.client.GuardClient` has these calls; whoever supervises the guard may put its own object in between.
"""

import time
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from hacore.errors import GuardUnavailableError, PostgresUnreachableError
from hacore.guard.client import GuardError, GuardRefusedError
from hacore.guard.values import GuardState, StartRefused, StartServer

T = TypeVar("T")

_SETTLED_S: Final = 5.0
_LOOK_S: Final = 0.01


class ServerLauncher(Protocol):
    """The guard's calls that concern the server. Each may raise :class:`hacore.guard.client.GuardError`."""

    def state(self) -> GuardState:
        """What the guard knows."""

    def start(self, server: StartServer) -> int | StartRefused:
        """Start a postmaster; answers its process id long before it is ready."""

    def signal(self, signum: int, token: int | None = None) -> GuardState:
        """Signal the postmaster; with a token only while the fence is armed for it."""

    def end(self, *, kill: bool = True) -> GuardState:
        """End every process of the server; without ``kill`` after half a second of SIGQUIT."""

    def adopt(self, pid: int) -> GuardState:
        """Guard a postmaster that somebody else started."""


def wait_settled(launcher: ServerLauncher) -> None:
    """Wait until the guard, too, has seen the end of the server: until then it kills whatever it finds in the directory.

    :raises GuardUnavailableError: it does not answer.
    :raises PostgresUnreachableError: it still has a server, or processes that do not go.
    """
    until = time.monotonic() + _SETTLED_S
    while True:
        state = asked(launcher.state)
        if state.server_pid is None and not state.is_ending:
            return
        if time.monotonic() >= until:
            raise PostgresUnreachableError(f"guard: the server, process {state.server_pid}, has not gone")
        time.sleep(_LOOK_S)


def asked(call: Callable[[], T]) -> T:
    """Make a call, with the guard's errors as ours.

    :raises GuardUnavailableError: it did not answer.
    :raises PostgresUnreachableError: it answered that it does not do it.
    """
    try:
        return call()
    except GuardRefusedError as error:
        raise PostgresUnreachableError(f"guard: {error}") from error
    except GuardError as error:
        raise GuardUnavailableError(f"guard: {error}") from error
