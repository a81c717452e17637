"""A router in front of each machine that can hold new work back: it does what it was told last, and outlives the agent that tells it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hacore.interfaces import Hold, RoutingState
from hacore.model.clock import Instant
from hacore.model.steps import WriteOwn
from hacore.model.world import Decision, World
from hacore.publish.routing import lease_ended, next_state, renewed
from hacore.testing.simulation.clock import NodeClock
from hacore.testing.simulation.engine import Engine, Gate

_QUICK_S: Final = 0.005


@dataclass(slots=True)
class Traffic:
    """What stands between clients and one machine."""

    engine: Engine
    drains: bool = False
    heeds_end: bool = True  # what was held for too long is let go
    held: str | None = None  # the switchover that work waits for
    judged_from: float = 0.0  # since when somebody could have let it go

    def hold(self, switchover_id: str) -> None:
        """Keep new work waiting."""
        if self.held is None:
            self.judged_from = self.engine.now
        self.held = switchover_id

    def let_go(self) -> None:
        """Let everything go on."""
        self.held = None

    def somebody_can(self) -> None:
        """Count from now on: there was nobody who could have let it go."""
        self.judged_from = self.engine.now


class AgentTraffic:
    """What the loop tells routers (:class:`hacore.ports.Publisher`), applied a moment later."""

    def __init__(self, traffic: Traffic, clock: NodeClock, gates: tuple[Gate, Gate]) -> None:
        self._traffic, self._clock, self._gates = traffic, clock, gates
        self._state: RoutingState | None = None
        self._world: World | None = None
        self._is_alive = True

    @property
    def leads_here(self) -> bool:
        """Tell whether routers were told last that this node leads."""
        return self._state is not None and self._state.leads

    @property
    def leads_to(self) -> str | None:
        """Return the member to which routers were told to lead writes."""
        return self._state.leader.member if self._state is not None and self._state.leader is not None else None

    def published(self, world: World, decision: Decision) -> None:
        """Tell the state after a turn."""
        self._world = world
        written = next((step.own for step in decision.steps if isinstance(step, WriteOwn)), None)
        self._tell(next_state(self._state, world, written=written if world.lease is not None else None))

    def lease_ends(self) -> None:
        """Take back what leads here."""
        self._tell(None if self._state is None else lease_ended(self._state, self._world, self._clock.now()))

    def lease_renewed(self, fence_at: Instant) -> None:
        """Tell the new instant at which the fence begins."""
        self._tell(None if self._state is None else renewed(self._state, fence_at, self._clock.now()))

    def close(self) -> None:
        """The agent has died."""
        self._is_alive = False

    def _tell(self, state: RoutingState | None) -> None:
        if state is None or state is self._state:
            return
        self._state = state
        self._in(_QUICK_S, lambda: self._apply(state))

    def _apply(self, state: RoutingState) -> None:
        if state.hold is None:
            self._traffic.let_go()
        elif self._traffic.heeds_end:
            self._in(self._left_s(state.hold) + _QUICK_S, self._look)

    def _look(self) -> None:
        hold = self._state.hold if self._state is not None else None
        if hold is None or self._left_s(hold) <= 0:
            self._traffic.let_go()

    def _left_s(self, hold: Hold) -> float:
        return max(0.0, self._clock.to_true(hold.ends_at) - self._traffic.engine.now)

    def _in(self, seconds: float, action: Callable[[], None]) -> None:
        def act() -> None:
            if self._is_alive:
                action()

        agent, machine = self._gates
        self._traffic.engine.after(seconds, lambda: machine.pass_or_wait(lambda: agent.pass_or_wait(act)))
