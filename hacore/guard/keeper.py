"""The guard's work between two wakings: follow the deadline, fence when it is due, sweep up after a dead postmaster.

Joins the latch, the server and the two timers. Does not know how requests come in.
"""

from typing import Final

from hacore.guard.fence import Ended, end_server, sweep
from hacore.guard.kernel import NS_PER_S, KillTimer, WakeTimer, boot_ns
from hacore.guard.latch import Latch
from hacore.guard.server import Server
from hacore.guard.wire import Message
from hacore.guard.word import Word

_SHARES: Final = 5  # of the budget D one goes to SIGQUIT, one at most to the sweep: done before the kernel's turn
_SWEEP_NS: Final = NS_PER_S // 10


class Fired:
    """What the last fence did."""

    __slots__ = ("at_ns", "killed", "remaining", "token", "took_ns")

    def __init__(self, token: int, at_ns: int, ended: Ended) -> None:
        self.token = token
        self.at_ns = at_ns
        self.took_ns = ended.took_ns
        self.killed = ended.killed
        self.remaining = len(ended.remaining)

    def as_message(self) -> Message:
        """For the wire."""
        return {name: getattr(self, name) for name in self.__slots__}


class Keeper:
    """Keeps one server under one deadline."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.latch = Latch()
        self.wake = WakeTimer()
        self.fired: Fired | None = None
        self._backstop = _kill_timer()
        self._word: Word | None = None
        self._set_for: tuple[int, int] = (0, 0)
        self._sweeping = False

    @property
    def has_backstop(self) -> bool:
        """Whether the kernel holds a timer on this process."""
        return self._backstop is not None

    @property
    def is_ending(self) -> bool:
        """Whether processes of the server that got SIGKILL have not gone yet."""
        return self._sweeping

    def follow_word(self, word: Word) -> None:
        """Read the deadline from this word from now on, and from no other."""
        self._take_word()
        word.store(self.latch.deadline_ns)
        if self._word is not None:
            self._word.close()
        self._word = word

    def _take_word(self) -> None:
        if self._word is not None:
            self.latch.follow(self._word.load())

    def arm(self, token: int, deadline_ns: int, budget_ns: int) -> str | None:
        """Put a deadline in force; answers why not, or ``None``."""
        self._take_word()
        refusal = self.latch.arm(token, deadline_ns, budget_ns, boot_ns())
        if refusal is None:
            self.fired = None
            if self._word is not None:
                self._word.store(deadline_ns)
            self._retime()
        return refusal

    def disarm(self) -> None:
        """Put the deadline out of force."""
        self.latch.disarm()
        if self._word is not None:
            self._word.store(0)
        self._retime()

    def end(self, *, is_patient: bool) -> Ended:
        """End the server at once, without the latch."""
        ended = end_server(self.server, NS_PER_S // 2 if is_patient else 0, _SWEEP_NS)
        self._note_remaining(ended.remaining)
        return ended

    def _note_remaining(self, remaining: frozenset[int]) -> None:
        self._sweeping = bool(remaining) or self.server.is_alive
        if not self._sweeping:
            self.server.territory.release()

    def turn(self) -> None:
        """One look at everything. Never waits, except to fence."""
        self._take_word()
        if self.latch.is_due(boot_ns()):
            self._fence()
        elif self.server.reap() or self._sweeping:
            # A dead postmaster is not the end of writes: a busy backend goes on to commit and to answer for seconds.
            _, remaining = sweep(self.server, _SWEEP_NS if not self._sweeping else 0)
            self._note_remaining(remaining)
        self._retime()

    def _fence(self) -> None:
        at_ns = boot_ns()
        share_ns = self.latch.budget_ns // _SHARES
        ended = end_server(self.server, share_ns, share_ns)
        token = self.latch.token if self.latch.token is not None else 0
        self.latch.fire()
        self._note_remaining(ended.remaining)
        self.fired = Fired(token, at_ns, ended)

    def _retime(self) -> None:
        """Set both timers after the deadline moved."""
        wanted = (self.latch.deadline_ns, self.latch.backstop_ns)
        if wanted == self._set_for:
            return
        self.wake.set(wanted[0])
        if self._backstop is not None:
            self._backstop.set(wanted[1])
        self._set_for = wanted


def _kill_timer() -> KillTimer | None:
    """The kernel's part of the fence; ``None`` where the kernel has no such timer, and then the fence counts as partial."""
    try:
        return KillTimer()
    except OSError:
        return None
