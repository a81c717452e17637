"""The guard as the loop and PostgreSQL's door see it: one connection, made again after the guard was started again."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from hacore.errors import GuardUnavailableError
from hacore.guard.client import GuardClient, GuardError, GuardRefusedError
from hacore.guard.kernel import NS_PER_S
from hacore.guard.values import DisarmReason, GuardState, StartRefused, StartServer
from hacore.model.clock import Instant
from hacore.model.node import FenceState

logger = logging.getLogger(__name__)

T = TypeVar("T")

_CONNECT_S: Final = 0.3
_FRESH_S: Final = 0.05  # so old may an answer be that serves two questions of one turn
_ANSWER_S: Final = 0.5  # a healthy guard answers within a tick; the loop must not wait longer for one that is stopped
_REASONS: Final = {"pause": DisarmReason.PAUSED}


class GuardLine:
    """Implements :class:`hacore.ports.Fence` and :class:`hacore.postgres.launcher.ServerLauncher`. May be used from two threads."""

    def __init__(self, state_dir: str) -> None:
        self._state_dir = state_dir
        self._lock = threading.Lock()
        self._client: GuardClient | None = None
        self._last: tuple[float, GuardState] | None = None  # when and what it answered, until it is asked for anything else

    # --- the loop's side -------------------------------------------------------------------------------------------------

    def state(self) -> GuardState:
        """Return what the guard knows."""
        found = self._call(lambda client: client.state(_ANSWER_S))
        self._last = (time.monotonic(), found)
        return found

    def recent_state(self) -> GuardState:
        """Return what the guard has just said, or ask it."""
        last = self._last
        return last[1] if last is not None and time.monotonic() - last[0] < _FRESH_S else self.state()

    def arm(self, *, token: int, fence_at: Instant, budget_s: float) -> None:
        """Put F - D of this token in force."""
        self._call(lambda client: client.arm(token, round(fence_at * NS_PER_S), budget_s, _ANSWER_S))

    def extend(self, fence_at: Instant) -> None:
        """Move F - D: one store into shared memory."""
        self._call(lambda client: client.renew(round(fence_at * NS_PER_S)))

    def disarm(self, reason: str) -> None:
        """Put the deadline out of force; the guard looks itself unless pause is the reason."""
        state = self.state()
        fallback = DisarmReason.STOPPED if state.server_pid is None else DisarmReason.RECOVERY
        self._call(lambda client: client.disarm(_REASONS.get(reason, fallback), _ANSWER_S))

    # --- the server's side -----------------------------------------------------------------------------------------------

    def start(self, server: StartServer) -> int | StartRefused:
        """Start a postmaster as the guard's child."""
        return self._call(lambda client: client.start(server))

    def signal(self, signum: int, token: int | None = None) -> GuardState:
        """Signal the postmaster."""
        return self._call(lambda client: client.signal(signum, token))

    def end(self, *, kill: bool = True) -> GuardState:
        """End every process of the server."""
        return self._call(lambda client: client.end(kill=kill))

    def adopt(self, pid: int) -> GuardState:
        """Guard a postmaster that somebody else started."""
        return self._call(lambda client: client.adopt(pid))

    def leave(self) -> None:
        """Hang up in order: guard and server run on."""
        self._call(lambda client: client.leave())

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None

    def _call(self, question: Callable[[GuardClient], T]) -> T:
        """Ask; a connection that was lost is made again with the next question.

        :raises GuardRefusedError: the guard understood and did not do it.
        :raises GuardUnavailableError: it did not answer.
        """
        self._last = None
        try:
            return question(self._connected())
        except GuardRefusedError:
            raise
        except (GuardError, OSError) as error:
            self.close()
            raise GuardUnavailableError(f"guard: {error}") from error

    def _connected(self) -> GuardClient:
        with self._lock:
            if self._client is None:
                client = GuardClient.connect(self._state_dir, _CONNECT_S)
                client.attach(_ANSWER_S)
                self._client = client
            return self._client


class LoopFence:
    """Implements :class:`hacore.ports.Fence`: a refusal of the guard means that nothing that enables writes may be done."""

    def __init__(self, line: GuardLine) -> None:
        self._line = line

    def state(self) -> FenceState:
        """Return whether the guard is armed, or has fired."""
        found = self._line.recent_state()  # the server's reading has asked a moment before
        fired = found.fired is not None
        token = found.fired.token if found.fired is not None else found.token
        coverage = str(found.fence) if found.armed or found.server_pid is not None else "none"
        return FenceState(reachable=True, armed=found.armed, token=found.token if found.armed else token, fired=fired, coverage=coverage)

    def arm(self, *, token: int, fence_at: Instant, budget_s: float) -> None:
        """Arm the guard."""
        self._refusable(lambda: self._line.arm(token=token, fence_at=fence_at, budget_s=budget_s))

    def extend(self, fence_at: Instant) -> None:
        """Move the deadline."""
        self._refusable(lambda: self._line.extend(fence_at))

    def disarm(self, reason: str) -> None:
        """Take the deadline away."""
        self._refusable(lambda: self._line.disarm(reason))

    @staticmethod
    def _refusable(call: Callable[[], T]) -> T:
        try:
            return call()
        except GuardRefusedError as error:
            raise GuardUnavailableError(f"guard refused: {error}") from error
