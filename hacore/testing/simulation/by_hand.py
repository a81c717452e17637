"""Scenarios of a primary that a person has started or promoted, beside hacore or against it."""

import json

from hacore.model.node import Role, Upstream
from hacore.testing.simulation.faults import end_of_maintenance, heal
from hacore.testing.simulation.machine import Machine
from hacore.testing.simulation.simulation import Simulation
from hacore.testing.simulation.staging import ScenarioError, directory_of, in_maintenance, leader_of, others, reach, rule_answers, whole


def primary_was_made_by_hand(simulation: Simulation) -> None:
    """A primary that somebody started runs before hacore does: it is adopted, and never restarted."""
    first = simulation.machines["a"]
    _run_by_hand(simulation, first)
    run = first.server.run
    simulation.start()
    rule_answers(simulation, "adopt_running_primary")
    simulation.must_become_whole()
    if leader_of(simulation) is not first or first.server.run != run:
        raise ScenarioError("the primary was restarted, or somebody else leads")
    if first.memory.adopted_deadline is not None:
        raise ScenarioError("a deadline of before the lease is remembered")


def primary_was_made_by_hand_and_the_store_is_away(simulation: Simulation) -> None:
    """Such a primary gets its deadline once, even while the store does not answer."""
    first = simulation.machines["a"]
    _run_by_hand(simulation, first)
    simulation.judge.paused_until = 60.0
    simulation.store.is_available = False
    simulation.start()
    rule_answers(simulation, "adopted_primary_needs_a_deadline")
    simulation.run_for(10.0)
    heal(simulation)
    simulation.must_become_whole()


def primary_is_made_by_hand_again_and_the_store_is_away(simulation: Simulation) -> None:
    """A person starts it once more after its writes were ended: it has another deadline, or none and ends at once."""
    first = simulation.machines["a"]
    _run_by_hand(simulation, first)
    simulation.judge.paused_until = 90.0
    simulation.store.is_available = False
    simulation.start()
    for is_latched in (True, False, False):
        reach(simulation, lambda: not first.server.accepts_writes, "its writes end", within_s=10.0)
        if not is_latched:
            first.guard.kill()
            simulation.run_for(2.0)
        first.server.start(Role.PRIMARY, Upstream(member=None))
        reach(simulation, lambda: first.server.accepts_writes, "it takes writes again", within_s=2.0)
    reach(simulation, lambda: not first.server.accepts_writes, "its writes end", within_s=10.0)
    heal(simulation)
    simulation.must_become_whole()


def standby_is_promoted_by_hand_under_a_fired_fence(simulation: Simulation) -> None:
    """Nobody has waited for what a person makes primary after the guard has ended writes: it ends at once."""
    leader = whole(simulation)
    simulation.judge.paused_until = simulation.engine.now + 40.0
    simulation.store.is_available = False
    rule_answers(simulation, "read_only_without_store")
    reach(simulation, lambda: leader.server.role is Role.STANDBY and leader.server.serves, "it serves reads")
    leader.server.promote(())
    reach(simulation, lambda: leader.server.accepts_writes, "it takes writes", within_s=3.0)
    reach(simulation, lambda: not leader.server.accepts_writes, "its writes end", within_s=3.0)
    heal(simulation)
    simulation.must_become_whole()


def old_primary_finds_another_leader(simulation: Simulation) -> None:
    """Maintenance ends while somebody else holds the lock: the primary that ran on ends its writes."""
    leader = in_maintenance(simulation)
    simulation.run_for(3.0)
    other = others(simulation, leader)[0]
    leader.stop_agent()
    simulation.store.lose_lock()
    own = json.loads(simulation.store.value("hacore") or "{}")
    own.update(token=own["token"] + 1, holder=other.name, unfenced=None)
    simulation.operator_puts("hacore", json.dumps({key: value for key, value in own.items() if value is not None}))
    simulation.operator_takes_lock(other.name)
    end_of_maintenance(simulation)
    leader.continue_agent()
    rule_answers(simulation, "superseded_by_leader")
    heal(simulation)
    simulation.must_become_whole()


def _run_by_hand(simulation: Simulation, machine: Machine) -> None:
    simulation.judge.paused_until = 20.0
    machine.server.directory = directory_of(simulation.judge.new_system_id(), at=0.0)
    machine.server.start(Role.PRIMARY, Upstream(member=None))
    simulation.run_for(2.0)
