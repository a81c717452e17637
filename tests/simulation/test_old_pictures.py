"""A standby with nothing to do may look at an old picture of the store; nobody does anything on one."""

from random import Random

import pytest

from hacore.loop import Turn
from hacore.testing.simulation.agent import AgentHost, AgentWatch
from hacore.testing.simulation.faults import FAULTS, draw
from hacore.testing.simulation.run import plan_of
from hacore.testing.simulation.simulation import Plan, Simulation

DISTURBED_S = 60.0
EPSILON_S = 1e-6


class Looked:
    """How old the picture of each turn was."""

    def __init__(self, simulation: Simulation) -> None:
        self.on_old = 0
        self.turns = 0
        self.oldest_s = 0.0
        self.done_on_old: list[str] = []
        for machine in simulation.machines.values():
            inner = machine.watch
            assert inner is not None
            machine.watch = AgentWatch(turned=lambda host, turn, began, inner=inner: self._turned(inner, host, turn, began))  # type: ignore[misc]

    def _turned(self, inner: AgentWatch, host: AgentHost, turn: Turn, began: float) -> None:
        inner.turned(host, turn, began)
        self.turns += 1
        cluster = turn.world.cluster
        if cluster is None:
            return
        age_s = began - host.clock.to_true(cluster.sent_at)
        if age_s <= EPSILON_S:
            return
        self.on_old += 1
        self.oldest_s = max(self.oldest_s, age_s / turn.world.times.ttl_s)
        if turn.decision.steps or turn.world.lease is not None:
            self.done_on_old.append(turn.decision.rule)


def test_a_standby_with_nothing_to_do_does_with_old_pictures() -> None:
    simulation = Simulation(1, Plan())
    simulation.start()
    simulation.must_become_whole()
    looked = Looked(simulation)
    simulation.run_for(30.0)
    simulation.verdict()
    assert looked.on_old > looked.turns / 10
    assert looked.oldest_s <= 0.5


@pytest.mark.parametrize("seed", range(8))
def test_nothing_is_done_on_an_old_picture(seed: int) -> None:
    dice = Random(f"plan {seed}")
    simulation = Simulation(seed, plan_of(dice))
    looked = Looked(simulation)
    simulation.start()
    simulation.must_become_whole()
    ends_at = simulation.engine.now + DISTURBED_S
    while simulation.engine.now < ends_at:
        simulation.run_for(dice.expovariate(0.25))
        draw(simulation, dice, FAULTS)
    assert simulation.verdict().is_clean
    assert looked.on_old > 0
    assert looked.done_on_old == []
    assert looked.oldest_s <= 0.51  # of the ttl; clocks differ
