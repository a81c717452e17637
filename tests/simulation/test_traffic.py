"""When routers are told, on the simulated clock."""

import json
import math

from hacore.testing.simulation.machine import Machine
from hacore.testing.simulation.network import STORE
from hacore.testing.simulation.simulation import Plan, Simulation

ALL = ("a", "b", "c")
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


def led_to(simulation: Simulation, *names: str) -> set[str | None]:
    """Where the routers of these machines were told to lead writes."""
    return {None if agent is None else agent.traffic.leads_to for agent in (simulation.machines[name].agent for name in names)}


def paused(seed: str) -> tuple[Simulation, Machine]:
    """A cluster in maintenance whose primary nobody fences, and that primary."""
    simulation = Simulation(seed, Plan(drains=True))
    simulation.start()
    simulation.must_become_whole()
    leader = simulation.leader
    assert leader is not None
    simulation.judge.paused_until = math.inf
    simulation.change_config(pause=True)
    assert simulation.run_until(lambda: own(simulation).get("unfenced") == leader.name, within_s=10.0)
    simulation.run_for(3 * simulation.plan.times.loop_wait_s)
    return simulation, leader


def own(simulation: Simulation) -> dict[str, object]:
    return dict(json.loads(simulation.store.value("hacore") or "{}"))


def watch_for(simulation: Simulation, seconds: float, *names: str) -> set[str | None]:
    """Where these routers were led to meanwhile."""
    until, seen = simulation.engine.now + seconds, set[str | None]()
    while simulation.engine.now < until:
        seen |= led_to(simulation, *names)
        simulation.run_for(0.01)
    return seen


def ends(simulation: Simulation) -> None:
    """Maintenance ends, and all is well."""
    simulation.judge.paused_until = simulation.engine.now + 30.0
    simulation.change_config(pause=None)
    simulation.must_become_whole()
    assert led_to(simulation, *ALL) == {simulation.leader.name if simulation.leader is not None else None}
    assert simulation.judge.violations == []


def test_in_maintenance_clients_are_led_on_while_the_store_is_away_and_when_it_is_back() -> None:
    simulation, leader = paused("maintenance without a store")
    ttl_s, token = simulation.plan.times.ttl_s, own(simulation)["token"]
    simulation.store.is_available = False
    assert watch_for(simulation, 3 * ttl_s, *ALL) == {leader.name}
    assert not told_to_lead(leader)  # what ends with the lease has ended
    simulation.store.lose_lock()
    simulation.store.is_available = True
    assert watch_for(simulation, 3 * ttl_s, *ALL) == {leader.name}
    assert told_to_lead(leader)
    assert own(simulation)["token"] != token
    ends(simulation)


def test_in_maintenance_clients_are_led_on_to_a_primary_that_alone_does_not_reach_the_store() -> None:
    simulation, leader = paused("maintenance beside a store")
    simulation.network.cut_both(leader.name, STORE)
    assert watch_for(simulation, 3 * simulation.plan.times.ttl_s, *ALL) == {leader.name}
    assert simulation.store.lock is None
    simulation.network.heal()
    ends(simulation)


def test_after_maintenance_nobody_else_is_led_to_while_a_primary_does_not_know_of_its_end() -> None:
    simulation, leader = paused("an end that one does not hear of")
    others = [name for name in ALL if name != leader.name]
    simulation.network.cut_both(leader.name, STORE)
    simulation.run_for(2 * simulation.plan.times.ttl_s)
    simulation.change_config(pause=None)
    simulation.run_for(3 * simulation.plan.times.loop_wait_s)
    assert watch_for(simulation, 3 * simulation.plan.times.ttl_s, *others) == {None}
    assert led_to(simulation, leader.name) == {leader.name}
    simulation.network.heal()
    ends(simulation)


def test_in_maintenance_clients_are_not_led_to_a_primary_whose_server_was_stopped() -> None:
    simulation, leader = paused("a server that a person stops")
    simulation.store.is_available = False
    simulation.run_for(2 * simulation.plan.times.ttl_s)
    assert led_to(simulation, leader.name) == {leader.name}
    leader.server.vanish()
    simulation.run_for(2 * simulation.plan.times.loop_wait_s)
    assert led_to(simulation, leader.name) == {None}
    simulation.store.is_available = True
    ends(simulation)
