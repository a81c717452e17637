"""Runs of the simulator: one seed, many seeds, and what a person reads when one fails.

``python -m hacore.testing.simulation --seed 17`` replays one run with its trace.
"""

import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from random import Random
from typing import Final

from hacore.decide import rule_names
from hacore.model.policy import Policy, Tags, Times
from hacore.testing.simulation.agent import Wrong
from hacore.testing.simulation.faults import FAULTS, Fault, draw, heal
from hacore.testing.simulation.mutations import Mutation
from hacore.testing.simulation.scenarios import SCENARIOS, run_scenario
from hacore.testing.simulation.simulation import Plan, Simulation, Verdict

_CHUNK: Final = 10
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
    return Plan(names=names, times=times, policy=policy, tags=tags, rates=rates, lock_hangs_on_session=dice.random() < 0.5)


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


def run_seed(seed: int, *, wrong: Wrong | None = None, faults: Sequence[tuple[Fault, int]] = FAULTS, tracing: bool = False) -> Verdict:
    """Run one seed: come up, be disturbed, be left alone."""
    dice = Random(f"plan {seed}")
    routers = Random(f"routers {seed}")  # dice of their own: what else happens is as without them
    plan = plan_of(dice)
    policy = replace(plan.policy, drain_timeout_s=1.0, drain_aborts=routers.random() < 0.5)
    plan = replace(plan, policy=policy, drains=routers.random() < 0.5)
    simulation = Simulation(seed, plan, wrong=wrong, tracing=tracing)
    simulation.start()
    simulation.must_become_whole()
    ends_at = simulation.engine.now + _FAULT_PHASE_S
    while simulation.engine.now < ends_at and not simulation.judge.violations:
        simulation.run_for(dice.expovariate(1 / _MEAN_PAUSE_S))
        draw(simulation, dice, faults)
    if not simulation.judge.violations:
        simulation.run_for(dice.uniform(0.0, 10.0))
        heal(simulation)
        simulation.run_for(20.0)  # what ends by itself ends
        heal(simulation)
        simulation.must_become_whole()
    return simulation.verdict()


def replay(seed: int, *, lines: int = 120) -> str:
    """Run a seed that failed once more and return what a person needs to understand it."""
    again = run_seed(seed, tracing=True)
    found = "\n".join(str(violation) for violation in again.violations)
    return "\n".join([*again.trace[-lines:], found, f"replay: python -m hacore.testing.simulation --seed {seed}"])


@dataclass(slots=True)
class Tally:
    """Many runs, added up."""

    runs: int = 0
    failed: list[tuple[int | str, str]] = field(default_factory=list)  # seed or scenario, and the first promise that was broken
    rules: Counter[tuple[str, str]] = field(default_factory=Counter)
    promotions: int = 0
    acked: int = 0
    lost: int = 0
    virtual_s: float = 0.0

    def add(self, verdict: Verdict) -> None:
        """Count one run."""
        self.runs += 1
        self.rules.update(verdict.rules)
        self.promotions += verdict.promotions
        self.acked += verdict.acked
        self.lost += verdict.lost
        self.virtual_s += verdict.virtual_s
        if verdict.violations:
            self.failed.append((verdict.seed, str(verdict.violations[0])))

    def merge(self, other: "Tally") -> None:
        """Add the runs of another process."""
        self.runs += other.runs
        self.failed += other.failed
        self.rules.update(other.rules)
        self.promotions += other.promotions
        self.acked += other.acked
        self.lost += other.lost
        self.virtual_s += other.virtual_s

    def count(self, rule: str) -> int:
        """Return how often a rule answered, in whatever table."""
        return sum(count for (_, name), count in self.rules.items() if name == rule)

    def __str__(self) -> str:
        counts = sorted((self.count(name), name) for name in rule_names())
        lines = [f"{count:9} {name}" for count, name in counts]
        lines += [f"{seed}: {violation}" for seed, violation in self.failed]
        lines.append(
            f"{self.runs} runs of {self.virtual_s:.0f} s, {self.promotions} promotions, {self.acked} commits acknowledged, "
            f"{self.lost} of them lost to asynchronous replication, {len(self.failed)} runs failed"
        )
        return "\n".join(lines)


def tally_of(seeds: Sequence[int]) -> Tally:
    """Run these seeds here."""
    logging.disable(logging.CRITICAL)  # a log of virtual time is of no use, and costs a third of the run
    tally = Tally()
    for seed in seeds:
        tally.add(run_seed(seed))
    return tally


def tally_of_scenarios() -> Tally:
    """Run every scenario here."""
    logging.disable(logging.CRITICAL)
    tally = Tally()
    for scenario in SCENARIOS:
        tally.add(run_scenario(scenario))
    return tally


def tally_of_many(seeds: range, *, processes: int | None = None, failed: Callable[[str], object] = str) -> Tally:
    """Run these seeds and every scenario on all processors; ``failed`` is told at once of a run that broke a promise."""
    chunks = [range(first, min(first + _CHUNK, seeds.stop)) for first in range(seeds.start, seeds.stop, _CHUNK)]
    total = tally_of_scenarios()
    with ProcessPoolExecutor(processes or os.cpu_count() or 1, mp_context=get_context("spawn")) as pool:
        for tally in pool.map(tally_of, chunks):
            total.merge(tally)
            for seed, violation in tally.failed:
                failed(f"{seed}: {violation}")
    return total


def catching_seed(mutation: Mutation) -> tuple[int, str] | None:
    """Return the first seed that finds a wrong rule out, and how; ``None`` where none does within its bound."""
    logging.disable(logging.CRITICAL)
    for seed in mutation.seeds:
        verdict = run_seed(seed, wrong=mutation.wrong, faults=mutation.faults)
        for violation in verdict.violations:
            if violation.invariant in mutation.breaks:
                return seed, str(violation)
    return None
