"""A seed replays, whatever else differs."""

import os
import subprocess
import sys

from hacore.testing.simulation.run import run_seed
from hacore.testing.simulation.scenarios import SCENARIOS, run_scenario
from hacore.testing.simulation.simulation import Plan, Simulation


def trace_of(seed: int, hash_seed: str) -> str:
    command = [sys.executable, "-m", "hacore.testing.simulation", "--seed", str(seed)]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment).stdout


def test_a_seed_gives_the_same_run_in_every_process() -> None:
    assert trace_of(11, "1") == trace_of(11, "2")


def test_tracing_changes_nothing() -> None:
    one, other = run_seed(12), run_seed(12, tracing=True)
    assert (one.steps, one.acked, one.rules) == (other.steps, other.acked, other.rules)
    assert not one.trace
    assert other.trace


def test_two_seeds_give_two_runs() -> None:
    assert run_seed(13).steps != run_seed(14).steps


def test_an_undisturbed_cluster_comes_up_and_stays_as_it_is() -> None:
    simulation = Simulation("undisturbed", Plan())
    simulation.start()
    simulation.must_become_whole(work_s=10.0)
    before = simulation.state()
    simulation.run_for(60.0)
    assert simulation.state() == before
    verdict = simulation.verdict()
    assert verdict.is_clean, verdict.violations
    assert verdict.lost == 0
    assert verdict.acked > 100


def test_a_scenario_replays_too() -> None:
    assert run_scenario(SCENARIOS[0]).steps == run_scenario(SCENARIOS[0]).steps
