"""Situations that the dice reach seldom or never, each set up on purpose, so that every rule answers in some run.

A scenario is a run like any other: the same judge, and at its end the cluster is whole unless the scenario says otherwise.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from hacore.model.commands import CancelRestoreCommand, RestartCommand, RestoreCommand
from hacore.model.node import ServerState
from hacore.model.policy import Policy
from hacore.model.recovery import RecoveryTarget
from hacore.testing.simulation.agent import Wrong
from hacore.testing.simulation.by_hand import (
    old_primary_finds_another_leader,
    primary_is_made_by_hand_again_and_the_store_is_away,
    primary_was_made_by_hand,
    primary_was_made_by_hand_and_the_store_is_away,
    standby_is_promoted_by_hand_under_a_fired_fence,
)
from hacore.testing.simulation.faults import heal
from hacore.testing.simulation.in_pause import (
    hand_over_in_pause_is_given_up,
    heir_is_ended_by_its_promotion_in_pause,
    heir_is_lost_in_pause,
    heir_is_not_promoted_in_pause,
    leader_has_crashed_in_pause_and_stays_down,
    leader_is_lost_in_pause,
    leader_is_lost_in_pause_and_another_is_named_in_it,
    restart_fails_in_pause,
    standby_is_created_again_in_pause,
    store_is_emptied_in_pause,
)
from hacore.testing.simulation.machine import Machine
from hacore.testing.simulation.planned import (
    agents_end_during_a_restart_in_pause,
    agents_end_during_a_switchover_in_pause,
    best_standby_is_not_promoted,
    heir_is_not_promoted,
    leader_ends_while_it_starts_its_primary,
    leader_ends_while_its_standbys_lag,
    power_is_back_and_wal_takes_long_to_read,
    power_is_back_before_the_store,
    restarts_in_pause,
    store_goes_away_during_a_restart_in_pause,
    store_is_restored_with_the_lock_of_a_former_leader,
    switchover_meets_a_restart,
)
from hacore.testing.simulation.simulation import Plan, Simulation, Verdict
from hacore.testing.simulation.staging import ScenarioError, directory_of, leader_of, others, reach, rule_answers, whole
from hacore.testing.simulation.wal import Directory

_FOREIGN: Final = "7999999999999999999"


def _make(name: str, plan: Plan | None, tracing: bool, wrong: Wrong | None = None) -> Simulation:  # noqa: FBT001 - passed through
    return Simulation(f"scenario {name}", plan or Plan(), tracing=tracing, wrong=wrong)


# --- the scenarios ---------------------------------------------------------------------------------------------------------


def foreign_data_directory(simulation: Simulation) -> None:
    """A node with the data of another cluster neither leads nor follows, and its data stay."""
    stranger = simulation.machines["c"]
    stranger.is_wanted = False
    whole(simulation)
    stranger.server.directory = directory_of(_FOREIGN, at=simulation.engine.now)
    stranger.start_again()
    rule_answers(simulation, "foreign_system_id")
    simulation.must_become_whole()
    if stranger.exits != [1] or stranger.server.directory.system_id != _FOREIGN:
        raise ScenarioError("the stranger did not end, or its data were touched")


def scheduled_restart_is_stale(simulation: Simulation) -> None:
    """A restart whose time has passed is dropped."""
    leader = whole(simulation)
    late = leader.clock.wall() - timedelta(seconds=60)
    leader.command(RestartCommand(id="late", received_at=leader.clock.now(), schedule=late))
    rule_answers(simulation, "restart_dropped")
    simulation.must_become_whole()


def bootstrap_fails(simulation: Simulation) -> None:
    """The winner of the race cannot create the cluster: it makes room for another."""
    for machine in simulation.machines.values():
        machine.job_faults.bootstrap_fails = 1
    simulation.start()
    rule_answers(simulation, "bootstrap_failed")
    for machine in simulation.machines.values():
        machine.job_faults.bootstrap_fails = 0
        machine.start_again()
    simulation.must_become_whole()


def bootstrap_is_abandoned(simulation: Simulation) -> None:
    """The winner of the race dies in the middle: after T another member takes its claim away."""
    simulation.start()
    rule_answers(simulation, "bootstrap_under_lease")
    winner = leader_of(simulation)
    winner.lose_power()
    rule_answers(simulation, "abandoned_bootstrap")
    reach(simulation, lambda: simulation.store.value("initialize") not in (None, ""), "another member creates the cluster")
    winner.boot(5.0)
    simulation.must_become_whole()


def leader_loses_its_data(simulation: Simulation) -> None:
    """The data directory is deleted under the primary: the lock goes to somebody who has data."""
    leader = whole(simulation)
    leader.server.vanish()
    leader.server.directory = Directory.empty()
    leader.wake()
    rule_answers(simulation, "leader_without_data")
    simulation.must_become_whole()


def lock_outlives_its_holder(simulation: Simulation) -> None:
    """The store keeps the lock of a machine that is lost: after T + M without a heartbeat it counts as gone."""
    leader = whole(simulation)
    leader.lose_power()
    simulation.store.begin_leases_anew(600.0)
    reach(simulation, lambda: simulation.leader not in (None, leader), "another leader")
    leader.boot(5.0)
    simulation.must_become_whole()


def best_standby_has_no_space(simulation: Simulation) -> None:
    """Whoever cannot write its memory neither takes the lock nor is waited for; with space it is a candidate again."""
    leader = whole(simulation)
    full, other = others(simulation, leader)
    other.server.faults.replication_lag_s = 0.5
    full.disk_is_full = True
    simulation.run_for(1.0)
    leader.lose_power()
    reach(simulation, lambda: simulation.leader is other, "the one with space leads", within_s=2 * simulation.plan.times.ttl_s)
    full.disk_is_full = False
    leader.boot(5.0)
    simulation.must_become_whole()
    leader.disk_is_full = True
    other.lose_power()
    reach(simulation, lambda: simulation.leader is full, "the one with space again leads", within_s=2 * simulation.plan.times.ttl_s)
    leader.disk_is_full = False
    other.boot(5.0)
    simulation.must_become_whole()


def times_grow_together(simulation: Simulation) -> None:
    """A person makes ttl and loop_wait longer at once: the lease that is in force does not end while the leader waits the new time."""
    leader = whole(simulation)
    run = leader.server.run
    simulation.change_config(hacore={"ttl": 60, "loop_wait": 20, "retry_timeout": 10})
    simulation.run_for(90.0)
    if simulation.leader is not leader or leader.server.run != run:
        raise ScenarioError("the leader was fenced under its old lease")


def rewind_is_interrupted(simulation: Simulation) -> None:
    """A machine dies while its data are rewound: the directory is never started as it is."""
    leader = whole(simulation)
    simulation.network.isolate(leader.name, list(simulation.machines))
    for machine in others(simulation, leader):
        machine.server.faults.replication_lag_s = 3.0
    reach(simulation, lambda: simulation.leader not in (None, leader), "another leader")
    simulation.network.heal()
    reach(simulation, lambda: leader.server.directory.mark == "rewind", "a rewind")
    leader.lose_power()
    simulation.run_for(2.0)
    leader.boot(5.0)
    rule_answers(simulation, "finish_rewind")
    heal(simulation)
    simulation.must_become_whole()


def nobody_has_data_but_the_backup(simulation: Simulation) -> None:
    """Without a leader a node fills its directory from a backup, and waits for its turn."""
    leader = whole(simulation)
    backup = replace(leader.server.directory, log=leader.server.log.copy())
    for machine in simulation.machines.values():
        machine.backup = backup
        machine.lose_power()
    simulation.run_for(2.0)
    simulation.judge.manual_until = simulation.engine.now + 60.0  # the newest WAL is gone for good: a person decides that
    for machine in simulation.machines.values():
        machine.server.directory = Directory.empty()
    simulation.store.lose_keys(["status"])
    for machine in simulation.machines.values():
        machine.memory = replace(machine.memory, lsn=None)
        machine.boot(5.0)
    rule_answers(simulation, "create_without_leader")
    simulation.must_become_whole()


def switchover_is_withdrawn(simulation: Simulation) -> None:
    """A person takes the wish back while the checkpoint is still being written."""
    leader = whole(simulation)
    leader.job_faults.checkpoint_s = 3.0
    simulation.operator_puts("failover", json.dumps({"leader": leader.name}))
    rule_answers(simulation, "checkpoint_before_hand_over")
    simulation.operator_puts("failover", "{}")
    rule_answers(simulation, "hand_over_withdrawn")
    leader.job_faults.checkpoint_s = 0.0
    simulation.must_become_whole()
    if leader_of(simulation) is not leader:
        raise ScenarioError("the leader has changed")


def switchover_is_vetoed(simulation: Simulation) -> None:
    """A plugin of the leader says no: nothing has happened."""
    leader = whole(simulation)
    run = leader.server.run
    leader.job_faults.gate_vetoes = True
    simulation.operator_puts("failover", json.dumps({"leader": leader.name}))
    rule_answers(simulation, "hand_over_refused")
    leader.job_faults.gate_vetoes = False
    simulation.must_become_whole()
    if leader_of(simulation) is not leader or leader.server.run != run:
        raise ScenarioError("the leader has changed, or was restarted")


def switchover_with_routers(simulation: Simulation) -> None:
    """Work is held back before the primary stops, and goes on once the next one takes writes."""
    leader = whole(simulation)
    simulation.operator_puts("failover", json.dumps({"leader": leader.name}))
    reach(simulation, lambda: leader.traffic.held is not None, "work is held back")
    if not leader.server.accepts_writes or '"hold"' not in (simulation.store.value("hacore") or ""):
        raise ScenarioError("the primary was stopped before work was held back, or nobody would know of it")
    reach(simulation, lambda: leader.traffic.held is None, "work goes on")
    simulation.must_become_whole()
    if leader_of(simulation) is leader:
        raise ScenarioError("the leader has not changed")


def agent_dies_while_work_is_held_back(simulation: Simulation) -> None:
    """The agent that has held work back is killed before it stops the primary: the next one leads on, and lets the work go."""
    leader = whole(simulation)
    run, leader.job_faults.drain_s = leader.server.run, 2.0
    simulation.operator_puts("failover", json.dumps({"leader": leader.name}))
    reach(simulation, lambda: leader.traffic.held is not None, "work is held back")
    leader.kill_agent()
    simulation.operator_puts("failover", "{}")
    rule_answers(simulation, "clear_marks")
    simulation.must_become_whole()
    if leader_of(simulation) is not leader or leader.server.run != run:
        raise ScenarioError("the leader has changed, or was restarted")


def timeline_belongs_to_another(simulation: Simulation) -> None:
    """A primary that finds its timeline claimed under another token stops writing."""
    leader = whole(simulation)
    leader.stop_agent()
    own = json.loads(simulation.store.value("hacore") or "{}")
    own.update(claims=[[1, own["token"] + 50]])
    simulation.judge.paused_until = simulation.engine.now + 30.0
    simulation.store.lose_lock()
    simulation.operator_puts("hacore", json.dumps(own))
    leader.continue_agent()
    rule_answers(simulation, "timeline_of_another")
    heal(simulation)
    simulation.must_become_whole()


def crashed_primary_is_recovered_before_it_is_rewound(simulation: Simulation) -> None:
    """Where the end of a crashed primary's WAL cannot be read, it is recovered alone, and then compared."""
    leader = whole(simulation)
    for machine in others(simulation, leader):
        machine.server.faults.replication_lag_s = 3.0
    simulation.run_for(1.0)
    leader.lose_power()
    leader.server.end_known_at = float("inf")
    reach(simulation, lambda: simulation.leader not in (None, leader), "another leader")
    simulation.run_for(5.0)
    leader.boot(5.0)
    rule_answers(simulation, "recover_before_rewind")
    heal(simulation)
    simulation.must_become_whole()


def replay_waits_for_a_larger_setting(simulation: Simulation) -> None:
    """A setting was made larger on the primary alone: a standby is brought level by a restart."""
    standby = others(simulation, whole(simulation))[0]
    standby.server.faults.blocked_run = standby.server.run
    rule_answers(simulation, "restart_blocked_replay")
    simulation.must_become_whole()


def primary_answers_slowly_once(simulation: Simulation) -> None:
    """Where a crash leads to a failover at once, one reading that takes too long does not."""
    leader = whole(simulation)
    run, leader.server.faults.is_mute = leader.server.run, True
    rule_answers(simulation, "waiting_for_server")
    leader.server.faults.is_mute = False
    simulation.must_become_whole()
    if leader_of(simulation) is not leader or leader.server.run != run:
        raise ScenarioError("the leader has changed, or was restarted")
    leader.server.faults.is_mute = True
    rule_answers(simulation, "give_up_crashed_primary")
    leader.server.faults.is_mute = False
    reach(simulation, lambda: simulation.leader not in (None, leader), "another leader")
    heal(simulation)
    simulation.must_become_whole()


def leader_is_lost_while_a_standby_starts(simulation: Simulation) -> None:
    """A standby that goes on starting after the work that began it has ended is pointed at the next leader meanwhile."""
    leader = whole(simulation)
    standby = others(simulation, leader)[0]
    standby.server.faults.start_s = 40.0
    standby.server.vanish()
    reach(simulation, lambda: standby.server.state is ServerState.STARTING, "the standby starts")
    leader.lose_power()
    standby.kill_agent()
    rule_answers(simulation, "follow_while_starting")
    other = others(simulation, leader)[1]
    if standby.server.state is not ServerState.STARTING or standby.server.upstream.member != other.name:
        raise ScenarioError("the standby has started, or waits for the leader that has gone")
    leader.boot(5.0)
    heal(simulation)
    simulation.must_become_whole(work_s=60.0)


def agent_is_started_again_while_a_member_is_away(simulation: Simulation) -> None:
    """What the absent member will ask for is kept, though the new agent has never seen it."""
    leader = whole(simulation)
    standby = others(simulation, leader)[0]
    standby.lose_power()
    reach(simulation, lambda: standby.name not in simulation.store.members, "its record has ended")
    leader.kill_agent()
    simulation.run_for(10.0)
    if standby.name not in leader.server.slots:
        raise ScenarioError("the slot of a member that is away was dropped")
    standby.boot(5.0)
    simulation.must_become_whole()


def cluster_is_restored(simulation: Simulation) -> None:
    """A person takes the cluster back: all stop, one restores, the others follow it, whatever they had."""
    leader = _restore(simulation)
    standby = others(simulation, leader)[0]
    reach(simulation, lambda: leader.server.is_down, "all stand still")
    standby.server.end_known_at = float("inf")  # whoever reads its WAL takes long
    rule_answers(simulation, "wait_for_history_of_restore", within_s=80.0)
    standby.server.end_known_at = simulation.engine.now
    reach(simulation, lambda: simulation.leader is leader and leader.server.log.timeline > 1, "the leader is on another timeline")
    simulation.must_become_whole()


def restore_is_interrupted(simulation: Simulation) -> None:
    """The machine that restores is lost: nobody else leads; when it is back it goes on. A second one is ended by a person."""
    leader = _restore(simulation)
    rule_answers(simulation, "work_of_restoring")
    leader.lose_power()
    simulation.run_for(30.0)
    if simulation.leader is not None:
        raise ScenarioError(f"{simulation.engine.seed}: somebody leads while the one that restores is away")
    leader.boot(0.0)
    rule_answers(simulation, "restorer_returns")
    rule_answers(simulation, "restore_ended", within_s=80.0)
    simulation.must_become_whole()
    again = _restore(simulation)
    before = again.server.directory  # once all stand still it may be moved aside before anybody looks
    reach(simulation, lambda: again.server.is_down, "all stand still")
    reach(simulation, lambda: again.server.directory.mark == "restore", "it is moved aside")
    again.kill_agent()
    again.command(CancelRestoreCommand(id="cancel", received_at=again.clock.now()))  # to the next one, before it has begun anew
    rule_answers(simulation, "restore_cancelled")
    reach(simulation, lambda: again.server.directory is before, "what was there is there again")
    simulation.must_become_whole()


def restore_meets_the_unexpected(simulation: Simulation) -> None:
    """A wish where nothing can be restored; a member that does not stop in its first turns; a guard that has to be armed again."""
    standby = others(simulation, whole(simulation))[0]
    standby.command(_wish(standby))
    rule_answers(simulation, "restore_refused")
    leader = _restore(simulation, begins=False)
    rule_answers(simulation, "wait_for_members_to_stop")
    simulation.store.lose_lock()
    rule_answers(simulation, "primary_without_lease_while_restoring")
    rule_answers(simulation, "restorer_returns")
    leader.guard.kill()
    reach(simulation, lambda: leader.server.log.timeline > 1, "it is restored", within_s=80.0)
    simulation.must_become_whole()


def _restore(simulation: Simulation, *, begins: bool = True) -> Machine:
    if begins and simulation.leader is None:
        whole(simulation)
    leader = leader_of(simulation)
    simulation.judge.manual_until = float("inf")  # what is given up is a person's business
    leader.command(_wish(leader))
    rule_answers(simulation, "restore_requested")
    return leader


def _wish(machine: Machine) -> RestoreCommand:
    return RestoreCommand(
        id=f"restore {machine.engine.now}",
        received_at=machine.clock.now(),
        backup="b",
        target=RecoveryTarget(),
        along=machine.server.log.timeline,
    )


Scenario = Callable[[Simulation], None]

SCENARIOS: Final[tuple[Scenario, ...]] = (
    foreign_data_directory,
    scheduled_restart_is_stale,
    restarts_in_pause,
    restart_fails_in_pause,
    store_goes_away_during_a_restart_in_pause,
    store_is_emptied_in_pause,
    leader_is_lost_in_pause,
    leader_is_lost_in_pause_and_another_is_named_in_it,
    leader_has_crashed_in_pause_and_stays_down,
    hand_over_in_pause_is_given_up,
    heir_is_lost_in_pause,
    heir_is_not_promoted_in_pause,
    heir_is_ended_by_its_promotion_in_pause,
    standby_is_created_again_in_pause,
    agents_end_during_a_restart_in_pause,
    agents_end_during_a_switchover_in_pause,
    leader_ends_while_its_standbys_lag,
    leader_ends_while_it_starts_its_primary,
    switchover_meets_a_restart,
    heir_is_not_promoted,
    best_standby_is_not_promoted,
    power_is_back_before_the_store,
    power_is_back_and_wal_takes_long_to_read,
    store_is_restored_with_the_lock_of_a_former_leader,
    bootstrap_fails,
    bootstrap_is_abandoned,
    lock_outlives_its_holder,
    best_standby_has_no_space,
    times_grow_together,
    leader_loses_its_data,
    rewind_is_interrupted,
    nobody_has_data_but_the_backup,
    switchover_is_withdrawn,
    switchover_is_vetoed,
    switchover_with_routers,
    agent_dies_while_work_is_held_back,
    timeline_belongs_to_another,
    crashed_primary_is_recovered_before_it_is_rewound,
    primary_was_made_by_hand,
    primary_was_made_by_hand_and_the_store_is_away,
    primary_is_made_by_hand_again_and_the_store_is_away,
    standby_is_promoted_by_hand_under_a_fired_fence,
    old_primary_finds_another_leader,
    replay_waits_for_a_larger_setting,
    primary_answers_slowly_once,
    leader_is_lost_while_a_standby_starts,
    agent_is_started_again_while_a_member_is_away,
    cluster_is_restored,
    restore_is_interrupted,
    restore_meets_the_unexpected,
)
_PLANS: Final = {
    "cluster_is_restored": Plan(drains=True),
    "restore_is_interrupted": Plan(drains=True),
    "switchover_with_routers": Plan(drains=True),
    "agent_dies_while_work_is_held_back": Plan(drains=True),
    "primary_answers_slowly_once": Plan(policy=Policy(use_pg_rewind=True, primary_start_timeout_s=0.0)),
    "nobody_has_data_but_the_backup": Plan(leaderless_methods=True),
    "rewind_is_interrupted": Plan(policy=Policy(use_pg_rewind=True, primary_start_timeout_s=20.0)),
}


def run_scenario(scenario: Scenario, *, tracing: bool = False) -> Verdict:
    """Run one scenario."""
    simulation = _make(scenario.__name__, _PLANS.get(scenario.__name__), tracing)
    try:
        scenario(simulation)
    except ScenarioError as error:
        simulation.judge.broken("scenario", str(error))
    return simulation.verdict()
