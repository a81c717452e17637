"""Runs of the simulator: one seed, many seeds, and what a person reads when one fails.

``python -m hacore.testing.simulation --seed 17`` replays one run with its trace.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from random import Random
from typing import Final

from hacore.model.policy import Policy, Tags, Times
from hacore.testing.simulation.faults import draw, heal
from hacore.testing.simulation.machine import Wrong
from hacore.testing.simulation.simulation import Plan, Simulation, Verdict

_FAULT_PHASE_S: Final = 60.0
_MEAN_PAUSE_S: Final = 4.0
_TIMES: Final = (
    Times(ttl_s=5.0, loop_wait_s=1.0, retry_timeout_s=1.0),
    Times(ttl_s=5.0, loop_wait_s=1.0, retry_timeout_s=2.0),
    Times(ttl_s=8.0, loop_wait_s=2.0, retry_timeout_s=2.0),
)


def plan_of(dice: Random) -> Plan:
    """Draw what a run begins with."""
    names = ("a", "b", "c", "d")[: dice.choice([2, 3, 3, 3, 3, 4])]
    times = dice.choice(_TIMES)
    policy = Policy(
        use_pg_rewind=dice.random() < 0.7,
        remove_data_directory_on_rewind_failure=dice.random() < 0.6,
        remove_data_directory_on_diverged_timelines=True,
        maximum_lag_on_failover=dice.choice([1 << 20, 1 << 20, 100_000]),
        primary_start_timeout_s=dice.choice([0.0, 5.0, 20.0]),
        use_slots=dice.random() < 0.8,
        member_slots_ttl_s=dice.choice([1800.0, 5.0]),
    )
    tags = {name: _tags_of(dice, name, names) for name in names[1:]}
    rates = {name: 1.0 + dice.uniform(-0.002, 0.002) for name in names}
    return Plan(names=names, times=times, policy=policy, tags=tags, rates=rates)


def _tags_of(dice: Random, name: str, names: tuple[str, ...]) -> Tags:
    kind = dice.random()
    if kind < 0.1 and name == "c":
        return Tags(nofailover=True, published=(("nofailover", True),))
    if kind < 0.2:
        return Tags(failover_priority=2, published=(("failover_priority", 2),))
    if kind < 0.3:
        return Tags(clonefrom=True, published=(("clonefrom", True),))
    if kind < 0.4:
        return Tags(replicatefrom=names[0], published=(("replicatefrom", names[0]),))
    return Tags()


def run_seed(seed: int, *, wrong: Wrong | None = None, tracing: bool = False) -> Verdict:
    """Run one seed: come up, be disturbed, be left alone."""
    dice = Random(f"plan {seed}")
    simulation = Simulation(seed, plan_of(dice), wrong=wrong, tracing=tracing)
    simulation.start()
    simulation.must_become_whole()
    ends_at = simulation.engine.now + _FAULT_PHASE_S
    while simulation.engine.now < ends_at and not simulation.judge.violations:
        simulation.run_for(dice.expovariate(1 / _MEAN_PAUSE_S))
        draw(simulation, dice)
    if not simulation.judge.violations:
        simulation.run_for(dice.uniform(0.0, 10.0))
        heal(simulation)
        simulation.run_for(20.0)  # what ends by itself ends
        heal(simulation)
        simulation.must_become_whole()
    return simulation.verdict()


def run_seeds(seeds: Iterable[int], *, wrong: Wrong | None = None, report: Callable[[Verdict], None] | None = None) -> list[Verdict]:
    """Run many seeds."""
    verdicts = []
    for seed in seeds:
        verdict = run_seed(seed, wrong=wrong)
        if report is not None:
            report(verdict)
        verdicts.append(verdict)
    return verdicts


def explain(verdict: Verdict, *, wrong: Wrong | None = None, lines: int = 120) -> str:
    """Replay a run that failed and return what a person needs to understand it."""
    again = run_seed(int(verdict.seed), wrong=wrong, tracing=True)
    found = "\n".join(str(violation) for violation in again.violations)
    replay = f"replay: python -m hacore.testing.simulation --seed {verdict.seed}"
    return "\n".join([f"seed {verdict.seed}: {found}", *again.trace[-lines:], found, replay])


def fired(verdicts: Iterable[Verdict]) -> Counter[tuple[str, str]]:
    """Add up how often each rule answered."""
    total: Counter[tuple[str, str]] = Counter()
    for verdict in verdicts:
        total.update(verdict.rules)
    return total
