"""The real decisions and the real loop through hundreds of disturbed lives of a cluster."""

import sys

import pytest

from hacore.decide import rule_names
from hacore.testing.simulation.run import replay, tally_of_many

SEEDS = 500


@pytest.mark.timeout(1500)
def test_every_seed_keeps_every_promise_and_every_rule_answers_in_some_run(capsys: pytest.CaptureFixture[str]) -> None:
    tally = tally_of_many(range(SEEDS))
    with capsys.disabled():
        sys.stderr.write(f"\n{tally}\n")
    failed = [seed for seed, _ in tally.failed]
    explained = "\n\n".join(replay(seed) for seed in failed[:2] if isinstance(seed, int))
    assert not failed, f"{tally.failed}\n{explained}"
    silent = [name for name in rule_names() if tally.count(name) == 0]
    assert not silent, f"rules that never answered: {silent}"
