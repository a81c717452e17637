"""Command line of the simulator: replay a seed with its trace, or run many and count the rules."""

import argparse
import logging
import sys
import time

from hacore.decide import rule_names
from hacore.testing.simulation.run import fired, run_seed


def main() -> int:
    """Run what the arguments say; exit code 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m hacore.testing.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this run and print its trace")
    parser.add_argument("--seeds", type=int, default=100, help="run so many")
    parser.add_argument("--first", type=int, default=0, help="from this seed on")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first failure")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if arguments.seed is not None:
        verdict = run_seed(arguments.seed, tracing=True)
        print("\n".join([*verdict.trace, *map(str, verdict.violations)]))  # noqa: T201
        return int(not verdict.is_clean)
    return _many(range(arguments.first, arguments.first + arguments.seeds), keep_going=arguments.keep_going)


def _many(seeds: range, *, keep_going: bool) -> int:
    began, verdicts, failed = time.monotonic(), [], 0
    for seed in seeds:
        verdict = run_seed(seed)
        verdicts.append(verdict)
        if not verdict.is_clean:
            failed += 1
            print(f"seed {seed}: {verdict.violations[0]}", flush=True)  # noqa: T201
            if not keep_going:
                break
    rules = fired(verdicts)
    counts = {name: sum(count for (_, rule), count in rules.items() if rule == name) for name in rule_names()}
    print("\n".join(f"{count:9} {name}" for name, count in sorted(counts.items(), key=lambda item: item[1])))  # noqa: T201
    took = time.monotonic() - began
    acked, lost = sum(one.acked for one in verdicts), sum(one.lost for one in verdicts)
    promotions, virtual = sum(one.promotions for one in verdicts), sum(one.virtual_s for one in verdicts)
    print(f"{len(verdicts)} runs, {failed} failed, {virtual:.0f} s in {took:.0f} s, {promotions} promotions, {acked} commits, {lost} lost")  # noqa: T201
    return int(failed > 0)


sys.exit(main())
