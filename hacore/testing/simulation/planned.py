"""Scenarios of what people plan: maintenance, restarts in it, the end of an agent, and a restore of the store."""

import json

from hacore.model.commands import RestartCommand, ShutdownCommand
from hacore.testing.simulation.faults import end_of_maintenance, heal
from hacore.testing.simulation.machine import Machine
from hacore.testing.simulation.simulation import Simulation
from hacore.testing.simulation.staging import ScenarioError, in_maintenance, leader_of, others, reach, rule_answers, whole


def restarts_in_pause(simulation: Simulation) -> None:
    """What a person restarts in maintenance runs again afterwards in its role, the primary's guard disarmed as before."""
    leader = in_maintenance(simulation)
    for machine in (leader, others(simulation, leader)[0]):
        run, role = machine.server.run, machine.server.role
        machine.command(RestartCommand(id=f"restart {machine.name}", received_at=machine.clock.now()))
        rule_answers(simulation, "restart_ended")
        if machine.server.role is not role or machine.server.run == run:
            raise ScenarioError(f"{machine.name} was not restarted, or is not {role} any more")
    reach(simulation, lambda: not leader.guard.deadline.latch.is_armed, "the guard is disarmed again")
    end_of_maintenance(simulation)
    simulation.must_become_whole()


def store_goes_away_during_a_restart_in_pause(simulation: Simulation) -> None:
    """The guard that was armed for the restart is disarmed without the store, too: the primary runs on though its lease ends."""
    leader = in_maintenance(simulation)
    run = leader.server.run
    leader.command(RestartCommand(id="restart", received_at=leader.clock.now()))
    rule_answers(simulation, "restart_requested")
    simulation.store.is_available = False
    simulation.run_for(3 * simulation.plan.times.ttl_s)
    if not leader.server.accepts_writes or leader.server.run != run + 1 or leader.guard.deadline.latch.is_armed:
        raise ScenarioError(f"{simulation.engine.seed}: the primary that was restarted in maintenance was ended, or may be")
    simulation.store.is_available = True
    simulation.judge.store_is_back()
    end_of_maintenance(simulation)
    simulation.must_become_whole()


def agents_end_during_a_restart_in_pause(simulation: Simulation) -> None:
    """Every service is stopped while a primary and a standby are restarted in maintenance: both servers run on, and nobody ends them."""
    leader = in_maintenance(simulation)
    restarted = (leader, others(simulation, leader)[0])
    for checkpoint_s, start_s in ((1.5, 0.0), (0.0, 1.5)):  # the server answers as before; it is down
        runs = [machine.server.run for machine in restarted]
        for machine in restarted:
            machine.job_faults.checkpoint_s, machine.job_faults.start_s = checkpoint_s, start_s
            machine.command(RestartCommand(id=f"restart {machine.name} {start_s}", received_at=machine.clock.now()))
        rule_answers(simulation, "work_in_pause")
        _end_and_wait(simulation)
        if [machine.server.run - 1 for machine in restarted] != runs or not all(machine.server.serves for machine in restarted):
            raise ScenarioError(f"{simulation.engine.seed}: a server was left down, or has ended")
        if not leader.server.accepts_writes or leader.guard.deadline.latch.is_armed:
            raise ScenarioError(f"{simulation.engine.seed}: the primary that was left in maintenance was ended, or may be")
        for machine in simulation.machines.values():
            machine.start_again()
        rule_answers(simulation, "nothing_in_pause")
    heal(simulation)
    simulation.must_become_whole()


def agents_end_during_a_switchover_in_pause(simulation: Simulation) -> None:
    """The service of the old leader, which is being stopped, is stopped: it first hands over, and leaves its server behind as a standby."""
    leader = in_maintenance(simulation)
    heir = others(simulation, leader)[0]
    leader.job_faults.start_s = 1.5
    simulation.operator_puts("failover", json.dumps({"leader": leader.name, "member": heir.name}))
    rule_answers(simulation, "stop_for_hand_over")
    _end_and_wait(simulation, leader)
    if simulation.leader is not heir or not heir.server.accepts_writes or not leader.server.serves:
        raise ScenarioError(f"{simulation.engine.seed}: the hand-over was broken off, or a server was left down")
    heal(simulation)
    simulation.must_become_whole()


def heir_is_not_promoted(simulation: Simulation) -> None:
    """The candidate of a switchover, and then of a failover, cannot be promoted, and stays so: somebody else leads soon."""
    leader = whole(simulation)
    _fails_to_lead(simulation, others(simulation, leader)[0], {"leader": leader.name})
    leader = leader_of(simulation)
    leader.lose_power()
    simulation.judge.manual_until = simulation.engine.now + 60.0
    _fails_to_lead(simulation, others(simulation, leader)[0], {})


def _fails_to_lead(simulation: Simulation, heir: Machine, wish: dict[str, str]) -> None:
    heir.job_faults.gate_vetoes = True
    simulation.operator_puts("failover", json.dumps({**wish, "member": heir.name}))
    rule_answers(simulation, "promotion_failed")
    reach(simulation, lambda: simulation.leader not in (None, heir), "somebody else leads", within_s=simulation.plan.times.ttl_s)
    heal(simulation)
    simulation.must_become_whole()


def best_standby_is_not_promoted(simulation: Simulation) -> None:
    """Whoever has more WAL than the others and cannot be promoted is not waited for; where nobody else is left it is tried again."""
    leader = whole(simulation)
    best, other = others(simulation, leader)
    other.server.faults.replication_lag_s = 600.0  # also from the best one, whose lock it sees for a moment
    best.job_faults.gate_vetoes = True
    simulation.run_for(0.5)
    leader.lose_power()
    rule_answers(simulation, "promotion_failed")
    reach(simulation, lambda: simulation.leader is other, "the one that can be promoted leads", within_s=simulation.plan.times.ttl_s)
    heal(simulation)
    simulation.must_become_whole()
    best.job_faults.gate_vetoes = True
    leader.lose_power()
    other.lose_power()
    for _ in range(2):
        rule_answers(simulation, "promotion_failed")
    heal(simulation)
    simulation.must_become_whole()


def _end_and_wait(simulation: Simulation, *machines: Machine) -> None:
    """Stop the service in maintenance, everywhere or on these machines, and wait until nothing of before can be in force any more."""
    ended = machines or tuple(simulation.machines.values())
    for machine in ended:
        machine.exits.clear()
        machine.command(ShutdownCommand(id=f"end {simulation.engine.now}", received_at=machine.clock.now()))
    reach(simulation, lambda: all(machine.exits == [75] for machine in ended), "the agents have ended, and left their servers")
    simulation.run_for(3 * simulation.plan.times.ttl_s)


def store_is_restored_with_the_lock_of_a_former_leader(simulation: Simulation) -> None:
    """The lock comes back in the name of one that led when the backup was made, and stands: it leads no more, nothing is lost."""
    former, token = whole(simulation), simulation.judge.number("hacore", "token")
    simulation.store.save()
    simulation.operator_puts("failover", json.dumps({"leader": former.name}))
    reach(simulation, lambda: simulation.leader not in (None, former), "another leader")
    simulation.must_become_whole()
    simulation.judge.store_went_back()
    simulation.store.restore(lock_s=600.0)
    rule_answers(simulation, "give_back_fenced_lock")
    simulation.must_become_whole()
    if simulation.judge.lost or simulation.judge.number("hacore", "token") == token:
        raise ScenarioError(f"{simulation.engine.seed}: commits are lost by a restore of the store, or a token came back with it")


def power_is_back_before_the_store(simulation: Simulation) -> None:
    """All machines come up while the store is still away: the former leader waits, and leads again on its timeline once it is back."""
    leader = whole(simulation)
    simulation.store.is_available = False
    for machine in simulation.machines.values():
        machine.lose_power()
    leader.server.end_known_at = simulation.engine.now
    simulation.run_for(1.0)
    for machine in simulation.machines.values():
        machine.boot(5.0)
    simulation.run_for(4 * simulation.plan.times.ttl_s)
    simulation.store.is_available = True
    simulation.judge.store_is_back()
    simulation.must_become_whole()
    if leader_of(simulation) is not leader or simulation.judge.promotions:
        raise ScenarioError(f"{simulation.engine.seed}: the leader has changed, or has begun another timeline")


def power_is_back_and_wal_takes_long_to_read(simulation: Simulation) -> None:
    """All machines come up beside their store: the former leader waits until it knows where its WAL ends, and leads on its timeline."""
    leader = whole(simulation)
    for machine in simulation.machines.values():
        machine.lose_power()
    simulation.run_for(2 * simulation.plan.times.ttl_s)
    for machine in simulation.machines.values():
        machine.boot(0.5)
    leader.server.end_known_at = simulation.engine.now + 4.0
    simulation.must_become_whole()
    if leader_of(simulation) is not leader or simulation.judge.promotions:
        raise ScenarioError(f"{simulation.engine.seed}: the leader has changed, or has begun another timeline")


def leader_ends_while_its_standbys_lag(simulation: Simulation) -> None:
    """The service of the leader is stopped while WAL is under way: the lock is kept until a standby has all of it, nothing is lost.

    Also where for a moment no standby can be asked.
    """
    leader = whole(simulation)
    for machine in others(simulation, leader):
        machine.server.faults.replication_lag_s = 3.0
    simulation.run_for(4.0)
    leader.command(ShutdownCommand(id="end", received_at=leader.clock.now()))
    rule_answers(simulation, "waiting_for_candidate_at_end")
    for machine in others(simulation, leader):
        simulation.network.cut_both(leader.name, machine.name)
    simulation.run_for(0.3)
    simulation.network.heal()
    reach(simulation, lambda: simulation.leader not in (None, leader), "another leader", within_s=simulation.plan.times.ttl_s)
    if not leader.server.log.is_prefix_of(leader_of(simulation).server.log):
        raise ScenarioError(f"{simulation.engine.seed}: the next leader has not all that the one has that ended in order")
    heal(simulation)
    simulation.must_become_whole()


def leader_ends_while_it_starts_its_primary(simulation: Simulation) -> None:
    """PostgreSQL was stopped by hand, and the service right after it: the start in flight ends first, then the lock is given back."""
    leader = whole(simulation)
    leader.job_faults.start_s = 0.8
    leader.server.stop()
    rule_answers(simulation, "start_in_place")
    simulation.network.cut_both(leader.name, others(simulation, leader)[0].name)  # turns take long enough for the server to come up in one
    leader.command(ShutdownCommand(id="end", received_at=leader.clock.now()))
    reach(simulation, lambda: leader.exits == [0], "the agent has ended")
    heal(simulation)
    simulation.must_become_whole()


def switchover_meets_a_restart(simulation: Simulation) -> None:
    """A person asks for it while the primary is restarted: that the server is down for a moment is no reason to give the lock back."""
    leader = whole(simulation)
    leader.job_faults.checkpoint_s = leader.job_faults.start_s = 1.5
    leader.command(RestartCommand(id="restart", received_at=leader.clock.now()))
    rule_answers(simulation, "restart_requested")
    simulation.operator_puts("failover", json.dumps({"leader": leader.name}))
    rule_answers(simulation, "switchover_requested")
    rule_answers(simulation, "restart_ended")
    if simulation.leader is not leader or not leader.server.accepts_writes:
        raise ScenarioError(f"{simulation.engine.seed}: the lock was given back while a start of the primary was in flight")
    reach(simulation, lambda: simulation.leader not in (None, leader), "another leader")
    heal(simulation)
    simulation.must_become_whole()
