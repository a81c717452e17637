"""The guard of one machine: the real latch, on the machine's clock, with the kernel timer behind it.

It outlives the agent. Stopped, it does nothing until the kernel ends it, and with it the server; killed, it takes the server along.
A new one is started at once and knows nothing.
"""

from collections.abc import Callable

from hacore.errors import GuardUnavailableError
from hacore.guard.latch import Latch
from hacore.model.clock import Instant
from hacore.model.node import FenceState, ServerState
from hacore.testing.simulation.clock import NodeClock
from hacore.testing.simulation.engine import Callback, Engine, Event
from hacore.testing.simulation.server import Server

_NS = 1_000_000_000
_RESTART_S = 0.3


class Deadline:
    """The real latch, the word in shared memory, and the two timers that follow them: the guard's own and the kernel's."""

    def __init__(self, engine: Engine, clock: NodeClock, due: Callback, kernel_turn: Callback) -> None:
        self._engine = engine
        self._clock = clock
        self._due = due
        self._kernel_turn = kernel_turn
        self._timers: list[Event] = []
        self._word_ns = 0
        self.make_latch: Callable[[], Latch] = Latch
        self.latch = Latch()

    def begin(self) -> None:
        """A new guard knows nothing."""
        self.latch = self.make_latch()
        self._word_ns = 0
        self.retime()

    def arm(self, token: int, fence_at: Instant, budget_s: float) -> str | None:
        """Put a deadline in force; answer why not."""
        self.take_word()
        refusal = self.latch.arm(token, round(fence_at * _NS), round(budget_s * _NS), self.now_ns())
        if refusal is None:
            self._word_ns = self.latch.deadline_ns
            self.retime()
        return refusal

    def store_word(self, fence_at: Instant) -> None:
        """Move the deadline, without a look at anything: one store into shared memory."""
        self._word_ns = round(fence_at * _NS)

    def disarm(self) -> None:
        """Put the deadline out of force."""
        self.latch.disarm()
        self._word_ns = 0
        self.retime()

    def refusal_of_primary(self, token: int | None) -> str | None:
        """Say why a server may not be started as primary, or promoted, now."""
        self.take_word()
        return self.latch.refusal_of_primary(token, self.now_ns())

    def hand_over(self) -> None:
        """A new agent attaches: its word begins with the deadline in force."""
        self.take_word()
        self._word_ns = self.latch.deadline_ns

    def is_due(self) -> bool:
        """Look whether the deadline has passed."""
        self.take_word()
        return self.latch.is_due(self.now_ns())

    def is_overdue(self) -> bool:
        """Look whether it is the kernel's turn."""
        return self.latch.is_armed and self.now_ns() >= self.latch.backstop_ns

    def fire(self) -> None:
        """Note that it was carried out."""
        self.latch.fire()
        self.retime()

    def now_ns(self) -> int:
        """Return the machine's time."""
        return round(self._clock.now() * _NS)

    def take_word(self) -> None:
        """Read what the agent has stored."""
        self.latch.follow(self._word_ns)

    def retime(self) -> None:
        """Set the wake-up and the kernel's timer."""
        for timer in self._timers:
            timer.cancel()
        self._timers = []
        if not self.latch.is_armed:
            return
        self.take_word()
        due = self._clock.to_true(self.latch.deadline_ns / _NS)
        backstop = self._clock.to_true(self.latch.backstop_ns / _NS)
        self._timers = [self._engine.at(due, self._due), self._engine.at(backstop, self._kernel_turn)]


class Guard:
    """The process that is PostgreSQL's parent."""

    def __init__(self, engine: Engine, clock: NodeClock, server: Server) -> None:
        self._engine = engine
        self._server = server
        self._dice = engine.dice(f"guard {server.name}")
        self.deadline = Deadline(engine, clock, self._due, self._kernel_turn)
        self.is_alive = True
        self.is_stopped = False
        self.generation = 0
        server.on_end = self.look

    def attach(self) -> int:
        """Become the agent: the deadline word of every earlier one is read no more."""
        self.deadline.hand_over()
        self.generation += 1
        return self.generation

    def store_word(self, generation: int, fence_at: Instant) -> None:
        """Take the agent's store into shared memory; a stopped guard does not move the kernel's timer."""
        if generation == self.generation and self.is_alive:
            self.deadline.store_word(fence_at)
            if self.deadline.latch.is_armed and not self.is_stopped:
                self.deadline.retime()

    # --- what it does by itself -----------------------------------------------------------------------------------

    def look(self) -> None:
        """Sweep up after a postmaster that died: a dead postmaster is not the end of writes."""
        if self.is_alive and not self.is_stopped and self._server.state is ServerState.ORPHANED:
            self._engine.after(self._dice.uniform(0.004, 0.011), self._sweep)

    def _sweep(self) -> None:
        if self.is_alive and not self.is_stopped and self._server.gate.is_open and self._server.state is ServerState.ORPHANED:
            self._server.vanish()

    def _due(self) -> None:
        self._server.gate.pass_or_wait(self._fence)

    def _fence(self) -> None:
        if not self.is_alive or self.is_stopped:
            return
        if not self.deadline.is_due():
            self.deadline.retime()
            return
        self._server.quit()
        self._engine.after(self._dice.uniform(0.03, 0.12), self._server.vanish)
        self.deadline.fire()

    def _kernel_turn(self) -> None:
        if self.is_alive and self.deadline.is_overdue():
            self._server.gate.pass_or_wait(self.kill)

    # --- what may happen to it ------------------------------------------------------------------------------------

    def stop(self) -> None:
        """SIGSTOP."""
        self.is_stopped = True

    def go_on(self) -> None:
        """SIGCONT."""
        if self.is_alive and self.is_stopped:
            self.is_stopped = False
            self.deadline.retime()
            self._fence()
            self.look()

    def kill(self) -> None:
        """SIGKILL: the kernel ends the server at once; main starts a new guard."""
        if not self.is_alive:
            return
        self.is_alive = self.is_stopped = False
        self.generation += 1
        self.deadline.begin()
        if self._server.state is ServerState.ORPHANED:
            self._engine.after(self._dice.uniform(0.0, 0.1), self._server.vanish)  # the new one sweeps
        else:
            self._server.quit()
        self._engine.after(_RESTART_S, lambda: self._server.gate.pass_or_wait(self._begin))

    def _begin(self) -> None:
        self.is_alive = True
        self.look()

    def thaw(self) -> None:
        """The machine goes on: a timer that is due kills before any process runs its next instruction."""
        if self.is_alive and self.deadline.is_overdue():
            self._server.vanish()
            self.kill()

    def boot(self) -> None:
        """The machine has started: a new guard."""
        self.generation += 1
        self.is_alive, self.is_stopped = True, False
        self.deadline.begin()


class AgentFence:
    """The guard as one agent sees it (:class:`hacore.ports.Fence`)."""

    def __init__(self, engine: Engine, guard: Guard) -> None:
        self._engine = engine
        self._guard = guard
        self._generation = 0

    def _ask(self) -> Guard:
        self._engine.sleep(0.0005)
        guard = self._guard
        if not guard.is_alive or guard.is_stopped:
            self._engine.sleep(0.2)
            raise GuardUnavailableError("the guard does not answer")
        if guard.generation != self._generation or self._generation == 0:
            self._generation = guard.attach()
        return guard

    def state(self) -> FenceState:
        """Return what the guard says."""
        latch = self._ask().deadline.latch
        fired = latch.fired_token is not None
        return FenceState(armed=latch.is_armed, token=latch.fired_token if fired else latch.token, fired=fired)

    def arm(self, *, token: int, fence_at: Instant, budget_s: float) -> None:
        """Arm it."""
        refusal = self._ask().deadline.arm(token, fence_at, budget_s)
        if refusal is not None:
            raise GuardUnavailableError(refusal)

    def extend(self, fence_at: Instant) -> None:
        """Move the deadline."""
        self._engine.sleep(0.00001)
        self._guard.store_word(self._generation, fence_at)

    def disarm(self, reason: str) -> None:
        """Take the deadline away."""
        self._ask().deadline.disarm()
        del reason
