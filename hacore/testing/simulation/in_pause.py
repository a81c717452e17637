"""Scenarios of what goes wrong in maintenance, and of what people do then."""

import json

from hacore.testing.simulation.faults import end_of_maintenance
from hacore.testing.simulation.simulation import Simulation
from hacore.testing.simulation.staging import ScenarioError, in_maintenance, leader_of, reach


def store_is_emptied_in_pause(simulation: Simulation) -> None:
    """The primary that runs leads on and writes again what the store said: the cluster is in maintenance until a person ends it."""
    leader = in_maintenance(simulation)
    run, store = leader.server.run, simulation.store
    simulation.judge.store_went_back()
    store.lose_keys()
    reach(simulation, lambda: bool(store.value("initialize")) and simulation.leader is leader, "the records are there again")
    simulation.run_for(2 * simulation.plan.times.ttl_s)
    if not json.loads(store.value("config") or "{}").get("pause") or leader.guard.deadline.latch.is_armed:
        raise ScenarioError(f"{simulation.engine.seed}: maintenance has ended, or nobody could end it")
    store.lose_keys(["config"])
    reach(simulation, lambda: store.value("config") is not None, "the configuration is there again")
    end_of_maintenance(simulation)
    simulation.must_become_whole()
    if leader_of(simulation) is not leader or leader.server.run != run or simulation.judge.promotions:
        raise ScenarioError(f"{simulation.engine.seed}: the leader has changed, or was restarted")
