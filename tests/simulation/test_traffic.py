"""When routers are told, on the simulated clock."""

from hacore.testing.simulation.machine import Machine
from hacore.testing.simulation.network import STORE
from hacore.testing.simulation.simulation import Plan, Simulation

MOMENT_S = 0.3  # less than the store is waited for


def told_to_lead(machine: Machine) -> bool:
    assert machine.agent is not None
    return machine.agent.traffic.leads_here


def test_a_lease_that_ends_without_an_answer_is_told_before_the_store_is_asked_again() -> None:
    simulation = Simulation("a lease ends", Plan(drains=True))
    simulation.start()
    simulation.must_become_whole()
    leader = simulation.leader
    assert leader is not None
    assert told_to_lead(leader)
    simulation.network.cut_both(leader.name, STORE)
    fence_at = simulation.judge.end_of(leader) - simulation.plan.policy.budget(simulation.plan.times.ttl_s)
    simulation.run_for(fence_at - simulation.engine.now - MOMENT_S)
    assert told_to_lead(leader)
    simulation.run_for(2 * MOMENT_S)
    assert not told_to_lead(leader)
    assert simulation.judge.violations == []
    simulation.verdict()
