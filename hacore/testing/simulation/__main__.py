"""Command line of the simulator: replay a seed or a scenario with its trace, or run many and count the rules."""

import argparse
import logging
import sys
import time

from hacore.testing.simulation.mutations import MUTATIONS
from hacore.testing.simulation.run import catching_seed, run_seed, tally_of_many
from hacore.testing.simulation.scenarios import SCENARIOS, run_scenario
from hacore.testing.simulation.simulation import Verdict


def main() -> int:
    """Run what the arguments say; exit code 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m hacore.testing.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this run and print its trace")
    parser.add_argument(
        "--scenario", choices=[scenario.__name__ for scenario in SCENARIOS], help="replay this scenario and print its trace"
    )
    parser.add_argument("--seeds", type=int, default=100, help="run so many, and every scenario")
    parser.add_argument("--first", type=int, default=0, help="from this seed on")
    parser.add_argument("--processes", type=int, help="on so many processors; all where nothing is said")
    parser.add_argument("--mutations", action="store_true", help="look which seed finds each wrong rule out")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if arguments.seed is not None:
        return _show(run_seed(arguments.seed, tracing=True))
    if arguments.scenario is not None:
        return _show(run_scenario(next(one for one in SCENARIOS if one.__name__ == arguments.scenario), tracing=True))
    return _mutations() if arguments.mutations else _many(range(arguments.first, arguments.first + arguments.seeds), arguments.processes)


def _show(verdict: Verdict) -> int:
    print("\n".join([*verdict.trace, *map(str, verdict.violations)]))  # noqa: T201
    return int(not verdict.is_clean)


def _mutations() -> int:
    missed = 0
    for mutation in MUTATIONS:
        caught = catching_seed(mutation)
        missed += caught is None
        print(f"{mutation.name}: {'NOT caught' if caught is None else f'seed {caught[0]}: {caught[1]}'}", flush=True)  # noqa: T201
    return int(missed > 0)


def _many(seeds: range, processes: int | None) -> int:
    began = time.monotonic()
    tally = tally_of_many(seeds, processes=processes, failed=lambda line: sys.stderr.write(f"{line}\n"))
    print(f"{tally}, {time.monotonic() - began:.0f} s")  # noqa: T201
    return int(bool(tally.failed))


if __name__ == "__main__":
    sys.exit(main())
