"""Situations that the dice reach seldom."""

import pytest

from hacore.testing.simulation.scenarios import SCENARIOS, Scenario, run_scenario


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_situation_that_was_set_up_on_purpose_ends_well(scenario: Scenario) -> None:
    verdict = run_scenario(scenario, tracing=True)
    assert verdict.is_clean, "\n".join([*verdict.trace[-80:], *map(str, verdict.violations)])
