from dataclasses import replace

import pytest

from hacore.model.lease import Lease, Lock
from hacore.model.policy import Times
from tests.unit.control.samples import scene

LEASE = Lease(lock=Lock(holder="a", instance="1"), token=4, sent_at=100.0, ttl_s=5.0, margin_s=1.0, budget_s=1.0)


@pytest.mark.parametrize(
    ("lease", "retry_timeout_s", "expected"),
    [(None, 10.0, 5.0), (None, 2.0, 2.0), (LEASE, 10.0, 0.75), (replace(LEASE, sent_at=90.0), 10.0, 0.05)],
)
def test_a_question_to_the_store_never_takes_the_time_of_a_renewal(lease: Lease | None, retry_timeout_s: float, expected: float) -> None:
    context, loop, _ = scene()
    world = replace(loop.world, lease=lease, times=Times(retry_timeout_s=retry_timeout_s))
    assert context.budget_s(world) == pytest.approx(expected)
