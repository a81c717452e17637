"""What can happen to a cluster, and what people do to it: each a small function, drawn by the dice of the seed.

A fault that lasts ends by itself; :func:`heal` ends what is left, so that a run can be judged by how the cluster gets well again.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from hacore.model.commands import ReinitializeCommand, ReloadCommand, RestartCommand, ShutdownCommand
from hacore.model.node import DirectoryState, Role
from hacore.testing.simulation.host import JobFaults
from hacore.testing.simulation.machine import Machine
from hacore.testing.simulation.network import STORE
from hacore.testing.simulation.postmaster import ServerFaults
from hacore.testing.simulation.simulation import Simulation
from hacore.testing.simulation.wal import Directory
from hacore.testing.simulation.wire import SessionFaults

_PEOPLE_LEARN_S: Final = 8.0  # until every agent knows that maintenance is over


@dataclass(frozen=True, slots=True)
class Happening:
    """The moment of one fault."""

    simulation: Simulation
    machine: Machine
    dice: Random

    def seconds(self, shortest: float, longest: float) -> float:
        """Draw how long it lasts."""
        return self.dice.uniform(shortest, longest)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """End it after a while."""
        self.simulation.engine.after(seconds, action)

    @property
    def others(self) -> list[str]:
        """Return the names of the other machines."""
        return [name for name in self.simulation.machines if name != self.machine.name]


Fault = Callable[[Happening], None]


# --- processes -----------------------------------------------------------------------------------------------------------


def agent_killed(at: Happening) -> None:
    """SIGKILL to the agent."""
    at.machine.kill_agent()


def agent_stopped(at: Happening) -> None:
    """SIGSTOP to the agent, for up to three leases."""
    at.machine.stop_agent()
    at.later(at.seconds(0.5, 3 * at.simulation.plan.times.ttl_s), at.machine.continue_agent)


def guard_killed(at: Happening) -> None:
    """SIGKILL to the guard."""
    at.machine.guard.kill()


def guard_stopped(at: Happening) -> None:
    """SIGSTOP to the guard."""
    at.machine.guard.stop()
    at.later(at.seconds(0.5, 2 * at.simulation.plan.times.ttl_s), at.machine.guard.go_on)


def postmaster_killed(at: Happening) -> None:
    """SIGKILL to the postmaster: its backends may go on."""
    at.machine.server.lose_postmaster()


def server_crashed(at: Happening) -> None:
    """PostgreSQL crashes."""
    at.machine.server.quit()


def everything_killed(at: Happening) -> None:
    """SIGKILL to everything of ours and of PostgreSQL."""
    if at.machine.is_on:
        at.machine.kill_everything()


def crashes_in_a_row(at: Happening) -> None:
    """PostgreSQL crashes again and again."""
    for number in range(4):
        at.later(number * at.seconds(0.5, 1.5), at.machine.server.quit)


# --- machines ------------------------------------------------------------------------------------------------------------


def machine_frozen(at: Happening) -> None:
    """The whole machine stands still for a while."""
    at.machine.freeze()
    at.later(at.seconds(1.0, 4 * at.simulation.plan.times.ttl_s), at.machine.thaw)


def power_lost(at: Happening) -> None:
    """The machine goes down and comes back."""
    if at.machine.is_on:
        at.machine.lose_power()
        at.later(at.seconds(1.0, 20.0), lambda: _power_back(at))


def new_primary_dies(at: Happening) -> None:
    """The machine of the primary goes down, and so does that of its successor in the moment of its promotion."""
    engine = at.simulation.engine

    def follow_it(successor: Machine) -> None:
        engine.after(at.seconds(0.001, 0.05), lambda: power_lost(Happening(at.simulation, successor, at.dice)))

    at.simulation.judge.at_promotion = follow_it
    power_lost(Happening(at.simulation, at.simulation.leader or at.machine, at.dice))


def _power_back(at: Happening) -> None:
    if not at.machine.is_on:
        at.machine.boot(at.dice.uniform(5.0, 100.0))


def wall_clock_set(at: Happening) -> None:
    """Somebody sets the time of day."""
    at.machine.clock.wall_error_s = at.dice.choice([-86400.0, -30.0, 30.0, 86400.0])


def disk_lost(at: Happening) -> None:
    """The data directory of a standby is deleted under it; only where somebody who may lead has the data."""
    server = at.machine.server
    others = [machine for machine in at.simulation.machines.values() if machine is not at.machine and machine.tags.may_lead]
    has_heir = any(one.server.directory.state is DirectoryState.INITIALIZED and server.log.is_prefix_of(one.server.log) for one in others)
    if server.role is Role.STANDBY and has_heir:
        server.vanish()
        server.directory = Directory.empty()


# --- network and store -----------------------------------------------------------------------------------------------------


def cut_off_from_store(at: Happening) -> None:
    """Nothing gets through to or from the store."""
    at.simulation.network.cut_both(at.machine.name, STORE)
    _mend_later(at)


def answers_cut_off(at: Happening) -> None:
    """Requests arrive at the store, answers do not come back."""
    at.simulation.network.cut(STORE, at.machine.name)
    _mend_later(at)


def requests_cut_off(at: Happening) -> None:
    """Requests do not arrive at the store; news from it does."""
    at.simulation.network.cut(at.machine.name, STORE)
    _mend_later(at)


def isolated(at: Happening) -> None:
    """The machine is cut off from everything; its clients are on its side."""
    at.simulation.network.isolate(at.machine.name, list(at.simulation.machines))
    _mend_later(at)


def link_cut(at: Happening) -> None:
    """Two machines do not reach each other."""
    if at.others:
        at.simulation.network.cut_both(at.machine.name, at.dice.choice(at.others))
        _mend_later(at)


def link_half_cut(at: Happening) -> None:
    """One machine does not reach another, which reaches it."""
    if at.others:
        at.simulation.network.cut(at.machine.name, at.dice.choice(at.others))
        _mend_later(at)


def network_slow(at: Happening) -> None:
    """Every message of a machine takes long."""
    at.simulation.network.slow(at.machine.name, at.seconds(0.05, 1.2))
    _mend_later(at)


def network_lossy(at: Happening) -> None:
    """Messages to and from the store are lost now and then."""
    at.simulation.network.loss = at.dice.uniform(0.05, 0.5)
    _mend_later(at)


def answers_lost(at: Happening) -> None:
    """Writes take effect and are not answered, or take effect long after."""
    faults = at.machine.session_faults
    faults.lost_answer, faults.late_effect = at.dice.uniform(0.1, 0.7), at.dice.uniform(0.0, 1.0)
    at.later(at.seconds(2.0, 15.0), lambda: _answer_again(faults))


def _answer_again(faults: SessionFaults) -> None:
    faults.lost_answer = faults.late_effect = 0.0


def _mend_later(at: Happening) -> None:
    at.simulation.judge.disturbances += 1
    at.later(at.seconds(0.5, 20.0), lambda: _mend(at))


def _mend(at: Happening) -> None:
    at.simulation.judge.disturbances += 1
    at.simulation.network.heal()


def store_down(at: Happening) -> None:
    """The store answers nobody."""
    at.simulation.store.is_available = False
    at.later(at.seconds(0.3, 15.0), lambda: _store_up(at))


def _store_up(at: Happening) -> None:
    at.simulation.store.is_available = True
    at.simulation.judge.store_is_back()


def lock_lost_early(at: Happening) -> None:
    """The store gives the lock away before its time."""
    at.simulation.store.lose_lock()


def leases_begin_anew(at: Happening) -> None:
    """The store keeps locks and member records for longer than was agreed."""
    at.simulation.store.begin_leases_anew(at.seconds(10.0, 60.0))


def lock_lost_unseen(at: Happening) -> None:
    """The store gives the lock away before its time, and its holder, cut off, cannot see it."""
    leader = at.simulation.leader or at.machine
    at.simulation.network.cut_both(leader.name, STORE)
    _mend_later(at)
    at.simulation.store.lose_lock()


def every_key_lost(at: Happening) -> None:
    """Somebody deletes every key of the cluster."""
    at.simulation.judge.store_went_back()
    at.simulation.store.lose_keys()


def some_keys_lost(at: Happening) -> None:
    """Somebody deletes some keys."""
    names = at.dice.sample(["initialize", "config", "history", "failover"], 2)
    at.simulation.store.lose_keys(names)


def member_records_lost(at: Happening) -> None:
    """The members' leases are killed."""
    at.simulation.store.lose_members()


def store_restored(at: Happening) -> None:
    """The store goes back to a backup."""
    at.simulation.store.save()
    at.later(at.seconds(3.0, 15.0), lambda: _restore(at))


def _restore(at: Happening) -> None:
    """What nobody remembers is gone for good: a restore is survived where every node has seen what is lost."""
    text = at.simulation.store.value("hacore")
    token = json.loads(text)["token"] if text else 0
    if token == min(machine.memory.token for machine in at.simulation.machines.values()):
        at.simulation.judge.store_went_back()
        at.simulation.store.restore(lock_s=at.dice.choice((0.0, at.simulation.plan.times.ttl_s)))


# --- PostgreSQL ------------------------------------------------------------------------------------------------------------


def server_slow(at: Happening) -> None:
    """Starts and promotions take long; a fast stop may never end."""
    _server_faults(at, ServerFaults(start_s=at.seconds(1.0, 12.0), promote_s=at.seconds(0.0, 6.0), stop_hangs=at.dice.random() < 0.5))


def start_fails(at: Happening) -> None:
    """PostgreSQL goes down and does not come up for a while."""
    _server_faults(at, ServerFaults(start_fails=True))
    at.machine.server.quit()


def promotion_fails(at: Happening) -> None:
    """The promote signal is without effect for a while."""
    _server_faults(at, ServerFaults(promote_fails=True))


def replication_lags(at: Happening) -> None:
    """WAL reaches this standby late."""
    _server_faults(at, ServerFaults(replication_lag_s=at.seconds(0.2, 8.0)))


def server_mute(at: Happening) -> None:
    """PostgreSQL answers no new connection; open sessions go on."""
    _server_faults(at, ServerFaults(is_mute=True))


def _server_faults(at: Happening, faults: ServerFaults) -> None:
    at.machine.server.faults = faults
    at.simulation.judge.disturbances += 1
    at.later(at.seconds(2.0, 25.0), lambda: _server_well(at.machine))


def _server_well(machine: Machine) -> None:
    machine.server.faults = ServerFaults()


def copies_fail(at: Happening) -> None:
    """Replica methods and rewinds fail at first."""
    at.machine.job_faults = JobFaults(copy_fails=at.dice.randrange(1, 3), rewind_fails=at.dice.randrange(0, 2), copy_s=at.seconds(0.0, 5.0))


def gate_vetoes(at: Happening) -> None:
    """A plugin says no to every switchover and promotion of this node for a while."""
    at.machine.job_faults = JobFaults(gate_vetoes=True)
    at.later(at.seconds(2.0, 15.0), lambda: _vetoes_no_more(at.machine))


def _vetoes_no_more(machine: Machine) -> None:
    machine.job_faults = JobFaults()


# --- people ----------------------------------------------------------------------------------------------------------------


def switchover(at: Happening) -> None:
    """A person asks for a switchover."""
    leader = at.simulation.leader
    if leader is not None:
        wish = {"leader": leader.name}
        if at.dice.random() < 0.6 and at.others:
            wish["member"] = at.dice.choice([name for name in at.simulation.machines if name != leader.name])
        at.simulation.operator_puts("failover", json.dumps(wish))


def switchover_in_trouble(at: Happening) -> None:
    """A person asks for a switchover, and the leader loses the store while it hands over."""
    switchover(at)
    at.later(at.seconds(0.05, 1.5), lambda: cut_off_from_store(at))


def manual_failover(at: Happening) -> None:
    """A person names the next leader; where nobody leads, not before one that a pause left unfenced is surely down."""
    simulation = at.simulation
    simulation.judge.manual_until = simulation.engine.now + 60.0
    unfenced = simulation.machines.get(json.loads(simulation.store.value("hacore") or "{}").get("unfenced"))
    if simulation.leader is None and unfenced not in (None, at.machine):
        power_lost(Happening(simulation, unfenced, at.dice))
    at.simulation.operator_puts("failover", json.dumps({"member": at.machine.name}))


def maintenance(at: Happening) -> None:
    """A person pauses the cluster for a while."""
    judge, lasts = at.simulation.judge, at.seconds(5.0, 20.0)
    judge.paused_until = math.inf
    at.simulation.change_config(pause=True)
    at.later(lasts, lambda: end_of_maintenance(at.simulation))


def end_of_maintenance(simulation: Simulation) -> None:
    """A person resumes the cluster."""
    if simulation.judge.paused_until == math.inf:
        simulation.judge.paused_until = simulation.engine.now + _PEOPLE_LEARN_S
        simulation.change_config(pause=None)


def restart_asked(at: Happening) -> None:
    """A person asks for a restart of PostgreSQL."""
    at.machine.command(RestartCommand(id=at.simulation.command_id(), received_at=at.machine.clock.now()))


def agent_stopped_in_restart(at: Happening) -> None:
    """The leader's agent stands still in the middle of a restart, and goes on when its lease has long ended."""
    leader = at.simulation.leader or at.machine
    restart_asked(Happening(at.simulation, leader, at.dice))
    at.later(at.seconds(0.01, 0.25), leader.stop_agent)
    at.later(at.simulation.plan.times.ttl_s * at.seconds(1.5, 2.5), leader.continue_agent)


def reload_asked(at: Happening) -> None:
    """A person asks for a reload."""
    at.machine.command(ReloadCommand(id=at.simulation.command_id(), received_at=at.machine.clock.now()))


def reinitialize_asked(at: Happening) -> None:
    """A person asks for a new copy."""
    force = at.dice.random() < 0.5
    at.machine.command(ReinitializeCommand(id=at.simulation.command_id(), received_at=at.machine.clock.now(), force=force))


def agent_ended_in_order(at: Happening) -> None:
    """The service is stopped, and started again later."""
    at.machine.command(ShutdownCommand(id=at.simulation.command_id(), received_at=at.machine.clock.now()))
    at.later(at.seconds(3.0, 15.0), at.machine.start_again)


# --- the choice ------------------------------------------------------------------------------------------------------------

FAULTS: Final[tuple[tuple[Fault, int], ...]] = (
    (agent_killed, 4),
    (agent_stopped, 6),
    (guard_killed, 3),
    (guard_stopped, 4),
    (postmaster_killed, 5),
    (server_crashed, 4),
    (everything_killed, 3),
    (crashes_in_a_row, 1),
    (machine_frozen, 5),
    (power_lost, 5),
    (new_primary_dies, 1),
    (wall_clock_set, 1),
    (disk_lost, 1),
    (cut_off_from_store, 5),
    (answers_cut_off, 3),
    (requests_cut_off, 2),
    (isolated, 5),
    (link_cut, 3),
    (link_half_cut, 2),
    (network_slow, 3),
    (network_lossy, 3),
    (answers_lost, 4),
    (store_down, 4),
    (lock_lost_early, 4),
    (lock_lost_unseen, 3),
    (leases_begin_anew, 3),
    (every_key_lost, 1),
    (some_keys_lost, 1),
    (member_records_lost, 1),
    (store_restored, 1),
    (server_slow, 4),
    (start_fails, 2),
    (promotion_fails, 2),
    (replication_lags, 4),
    (server_mute, 2),
    (copies_fail, 2),
    (gate_vetoes, 1),
    (switchover, 6),
    (switchover_in_trouble, 2),
    (manual_failover, 1),
    (maintenance, 1),
    (restart_asked, 2),
    (agent_stopped_in_restart, 1),
    (reload_asked, 1),
    (reinitialize_asked, 1),
    (agent_ended_in_order, 3),
)


def draw(simulation: Simulation, dice: Random, faults: Sequence[tuple[Fault, int]] = FAULTS) -> None:
    """Let one thing happen, more often to the leader than to others."""
    fault = dice.choices([fault for fault, _ in faults], [weight for _, weight in faults])[0]
    leader = simulation.leader
    machine = leader if leader is not None and dice.random() < 0.6 else dice.choice(list(simulation.machines.values()))
    simulation.note("fault", f"{fault.__name__} ({machine.name})")
    fault(Happening(simulation, machine, dice))


def heal(simulation: Simulation) -> None:
    """End every fault and bring back whatever is down: from here on the cluster is left alone."""
    simulation.note("fault", "all is healed")
    simulation.network.heal()
    simulation.store.is_available = True
    simulation.judge.disturbances += 1
    for machine in simulation.machines.values():
        machine.session_faults.lost_answer = machine.session_faults.late_effect = 0.0
        machine.job_faults = JobFaults()
        machine.server.faults = ServerFaults()
        machine.clock.wall_error_s = 0.0
        machine.commands.clear()  # nobody wants any more what was asked in trouble
        machine.thaw()
        machine.continue_agent()
        machine.guard.go_on()
        if not machine.is_on:
            machine.boot(10.0)
        machine.start_again()
    if json.loads(simulation.store.value("config") or "{}").get("pause") or simulation.judge.knows_of_pause():
        simulation.judge.paused_until = math.inf
    end_of_maintenance(simulation)
