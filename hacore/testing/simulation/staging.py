"""What scenarios are set up and looked at with: a cluster that is whole, who leads it, and the wait for something to come about."""

from collections.abc import Callable

from hacore.model.node import DirectoryState
from hacore.testing.simulation.machine import Machine
from hacore.testing.simulation.simulation import Simulation
from hacore.testing.simulation.wal import Directory, RecordKind


class ScenarioError(AssertionError):
    """A scenario did not get as far as it has to."""


def reach(simulation: Simulation, condition: Callable[[], bool], what: str, *, within_s: float = 40.0) -> None:
    """Let time pass until something is true.

    :raises ScenarioError: it did not come to that.
    """
    if not simulation.run_until(condition, within_s=within_s) and not simulation.judge.violations:
        raise ScenarioError(f"{simulation.engine.seed}: not within {within_s} s: {what}")


def rule_answers(simulation: Simulation, rule: str, *, within_s: float = 40.0) -> None:
    """Let time pass until a rule answers on some machine."""
    before = sum(count for (_, name), count in simulation.rules.items() if name == rule)
    reach(simulation, lambda: sum(c for (_, name), c in simulation.rules.items() if name == rule) > before, rule, within_s=within_s)


def whole(simulation: Simulation) -> Machine:
    """Bring a cluster up and return its leader."""
    simulation.start()
    simulation.must_become_whole()
    return leader_of(simulation)


def in_maintenance(simulation: Simulation) -> Machine:
    """Bring a cluster up and pause it; return its leader, whose guard is disarmed."""
    leader = whole(simulation)
    simulation.judge.paused_until = float("inf")
    simulation.change_config(pause=True)
    rule_answers(simulation, "disarm_in_pause")
    return leader


def leader_of(simulation: Simulation) -> Machine:
    """Return the leader.

    :raises ScenarioError: nobody leads.
    """
    leader = simulation.leader
    if leader is None:
        raise ScenarioError(f"{simulation.engine.seed}: nobody leads: {[str(one) for one in simulation.judge.violations]}")
    return leader


def others(simulation: Simulation, but: Machine) -> list[Machine]:
    """Return every other machine."""
    return [machine for machine in simulation.machines.values() if machine is not but]


def directory_of(system_id: str, *, at: float) -> Directory:
    """A data directory that somebody made by hand."""
    directory = Directory(state=DirectoryState.INITIALIZED, log=Directory.empty().log, system_id=system_id)
    directory.note_checkpoint(directory.log.checkpoint(RecordKind.SHUTDOWN, at), "shut down")
    return directory
