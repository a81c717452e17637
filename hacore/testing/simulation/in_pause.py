"""Scenarios of what goes wrong in maintenance, and of what people do then."""

import json

from hacore.model.commands import ReinitializeCommand, RestartCommand
from hacore.testing.simulation.faults import end_of_maintenance, heal
from hacore.testing.simulation.machine import Machine
from hacore.testing.simulation.network import STORE
from hacore.testing.simulation.simulation import Simulation
from hacore.testing.simulation.staging import ScenarioError, in_maintenance, leader_of, others, reach, rule_answers


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


def leader_is_lost_in_pause(simulation: Simulation) -> None:
    """Nobody can tell whether the primary that was left unfenced still writes: nobody leads until a person says so by a failover."""
    leader = in_maintenance(simulation)
    heir = others(simulation, leader)[0]
    simulation.operator_puts("failover", json.dumps({"member": heir.name}))  # while it still leads: that says nothing of its end
    leader.lose_power()
    end_of_maintenance(simulation)
    simulation.run_for(4 * simulation.plan.times.ttl_s)
    if simulation.leader is not None:
        raise ScenarioError(f"{simulation.engine.seed}: somebody leads while the one that was left unfenced may still write")
    _failover(simulation, heir)
    reach(simulation, lambda: heir.server.accepts_writes, "the one that was named leads")
    leader.boot(5.0)
    simulation.must_become_whole()
    if leader_of(simulation) is not heir:
        raise ScenarioError(f"{simulation.engine.seed}: the leader has changed")


def leader_is_lost_in_pause_and_another_is_named_in_it(simulation: Simulation) -> None:
    """A failover is possible in maintenance, too; also where the one that is named learns of it only after an outage of the store."""
    leader = in_maintenance(simulation)
    heir = others(simulation, leader)[0]
    leader.lose_power()
    reach(simulation, lambda: simulation.leader is None, "nobody leads")
    simulation.run_for(4 * simulation.plan.times.ttl_s)
    simulation.network.cut_both(heir.name, STORE)
    rule_answers(simulation, "pause_without_store")
    _failover(simulation, heir)
    simulation.run_for(1.0)
    simulation.network.heal()
    reach(simulation, lambda: heir.server.accepts_writes, "the one that was named leads")
    end_of_maintenance(simulation)
    leader.boot(5.0)
    simulation.must_become_whole()


def leader_has_crashed_in_pause_and_stays_down(simulation: Simulation) -> None:
    """Its agent says that no process of it is left: then somebody else leads once maintenance has ended."""
    leader = in_maintenance(simulation)
    leader.lose_power()
    simulation.run_for(2 * simulation.plan.times.ttl_s)
    leader.boot(0.0)
    leader.disk_is_full = True  # so that it is no candidate itself
    simulation.run_for(3.0)
    end_of_maintenance(simulation)
    reach(simulation, lambda: simulation.leader not in (None, leader), "another leader")
    heal(simulation)
    leader.disk_is_full = False
    simulation.must_become_whole()


def hand_over_in_pause_is_given_up(simulation: Simulation) -> None:
    """The candidate dies before it has the shutdown checkpoint: the primary that was stopped for it runs again, under its lock."""
    leader = in_maintenance(simulation)
    leader.job_faults.start_fails = 2
    heir = others(simulation, leader)[0]
    heir.server.faults.replication_lag_s = 5.0
    _hands_over(simulation, leader, heir)
    reach(simulation, lambda: leader.server.is_down, "the primary is stopped")
    _runs_again(simulation, leader, heir)


def heir_is_lost_in_pause(simulation: Simulation) -> None:
    """The candidate dies before it takes the lock that was given back for it: the primary that was stopped for it leads again."""
    leader = in_maintenance(simulation)
    leader.job_faults.start_fails = 2
    heir = others(simulation, leader)[0]
    heir.stop_agent()
    _hands_over(simulation, leader, heir)
    reach(simulation, lambda: simulation.leader is None, "the lock is given back")
    _runs_again(simulation, leader, heir)


def restart_fails_in_pause(simulation: Simulation) -> None:
    """What a person restarts is started until it runs, the primary under its lock; what a person stops after that is left alone."""
    leader = in_maintenance(simulation)
    standby = others(simulation, leader)[0]
    for machine in (standby, leader):
        machine.job_faults.start_fails = 3
        machine.command(RestartCommand(id=f"restart {machine.name}", received_at=machine.clock.now()))
    rule_answers(simulation, "restart_goes_on")
    reach(simulation, lambda: standby.server.serves and leader.server.accepts_writes, "both run again")
    if simulation.leader is not leader:
        raise ScenarioError(f"{simulation.engine.seed}: the lock was given away while its primary was restarted")
    simulation.run_for(1.0)
    standby.server.stop()
    simulation.run_for(2 * simulation.plan.times.ttl_s)
    if standby.server.serves:
        raise ScenarioError(f"{simulation.engine.seed}: a standby that a person stopped in maintenance was started")
    end_of_maintenance(simulation)
    simulation.must_become_whole()


def heir_is_not_promoted_in_pause(simulation: Simulation) -> None:
    """The candidate cannot be promoted: that is tried once, and all stand by as standbys until a person names another, or the old one."""
    leader = in_maintenance(simulation)
    heir = others(simulation, leader)[0]
    heir.job_faults.gate_vetoes = True
    _hands_over(simulation, leader, heir)
    rule_answers(simulation, "promotion_failed")
    _nobody_leads_unasked(simulation)
    _failover(simulation, leader)
    reach(simulation, lambda: leader.server.accepts_writes, "the one that was named leads")
    heal(simulation)
    simulation.must_become_whole()


def heir_is_ended_by_its_promotion_in_pause(simulation: Simulation) -> None:
    """The candidate is told to leave recovery and does not answer, so it is ended: that is tried once, and it is a standby again."""
    leader = in_maintenance(simulation)
    heir = others(simulation, leader)[0]
    run = heir.server.run
    heir.job_faults.promotion_kills = True
    _hands_over(simulation, leader, heir)
    reach(simulation, lambda: heir.server.run > run and heir.server.serves, "the one that could not be promoted runs as a standby")
    heir.job_faults.promotion_kills = False
    _nobody_leads_unasked(simulation)
    _failover(simulation, heir)
    reach(simulation, lambda: heir.server.accepts_writes, "the one that was named again leads")
    end_of_maintenance(simulation)
    simulation.must_become_whole()


def standby_is_created_again_in_pause(simulation: Simulation) -> None:
    """What a person asked for is done to its end: the new copy runs."""
    leader = in_maintenance(simulation)
    standby = others(simulation, leader)[0]
    standby.job_faults.start_fails = standby.job_faults.copy_fails = 1
    run = standby.server.run
    standby.command(ReinitializeCommand(id="again", received_at=standby.clock.now(), force=False))
    reach(simulation, lambda: standby.server.run > run and standby.server.serves, "the new copy runs", within_s=30.0)
    standby.server.stop()
    simulation.run_for(2 * simulation.plan.times.ttl_s)
    if standby.server.serves:
        raise ScenarioError(f"{simulation.engine.seed}: a standby that a person has stopped was started")
    end_of_maintenance(simulation)
    simulation.must_become_whole()


def _nobody_leads_unasked(simulation: Simulation) -> None:
    token = simulation.judge.number("hacore", "token")
    simulation.run_for(4 * simulation.plan.times.ttl_s)
    if simulation.judge.number("hacore", "token") != token or simulation.leader is not None:
        raise ScenarioError(f"{simulation.engine.seed}: the lock was taken again unasked")


def _failover(simulation: Simulation, heir: Machine) -> None:
    simulation.judge.manual_until = simulation.engine.now + 60.0
    simulation.operator_puts("failover", json.dumps({"member": heir.name}))


def _hands_over(simulation: Simulation, leader: Machine, heir: Machine) -> None:
    simulation.operator_puts("failover", json.dumps({"leader": leader.name, "member": heir.name}))
    rule_answers(simulation, "stop_for_hand_over")


def _runs_again(simulation: Simulation, leader: Machine, heir: Machine) -> None:
    heir.lose_power()
    reach(simulation, lambda: leader.server.accepts_writes and simulation.leader is leader, "the primary runs again", within_s=60.0)
    reach(simulation, lambda: not leader.guard.deadline.latch.is_armed, "the guard is disarmed again")
    heir.boot(5.0)
    end_of_maintenance(simulation)
    heal(simulation)
    simulation.must_become_whole()
    if leader_of(simulation) is not leader or simulation.judge.promotions:
        raise ScenarioError(f"{simulation.engine.seed}: the leader has changed")
