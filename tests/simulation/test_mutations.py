"""A simulator that lets a wrong rule pass tests nothing."""

import pytest

from hacore.testing.simulation.mutations import MUTATIONS, Mutation
from hacore.testing.simulation.run import catching_seed


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name.replace(" ", "-"))
def test_a_rule_that_was_made_wrong_is_found_out(mutation: Mutation) -> None:
    assert catching_seed(mutation) is not None, f"no seed of {mutation.seeds} breaks {sorted(mutation.breaks)}"
