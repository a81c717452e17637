from math import floor

import pytest

from hacore.model.cluster import ClusterView
from hacore.observe.rhythm import after_leader_s
from tests.unit.decide import worlds as w

LOOP_WAIT_S = 10.0


def heard(at: float | None) -> ClusterView:
    return w.cluster(own_received_at=at)


def wait_s(cluster: ClusterView | None, now: float) -> float:
    return after_leader_s(cluster, loop_wait_s=LOOP_WAIT_S, now=now)


@pytest.mark.parametrize("phase_s", [0.01, 1.0, 4.9, 5.1, 5.6, 8.0, 9.99])
def test_a_standby_gets_into_step_with_a_leader_that_writes_each_turn(phase_s: float) -> None:
    now, turns = 100.0 + phase_s, 0
    while True:
        waited_s = wait_s(heard(floor(now / LOOP_WAIT_S) * LOOP_WAIT_S), now)
        assert LOOP_WAIT_S / 2 <= waited_s <= LOOP_WAIT_S * 1.05
        now, turns = now + waited_s, turns + 1
        if turns > 2:
            assert now % LOOP_WAIT_S == pytest.approx(0.05 * LOOP_WAIT_S)
        if turns > 6:
            break


def test_a_leader_that_is_late_or_unknown_is_not_looked_after_more_often() -> None:
    for cluster in (None, heard(None), heard(90.0), heard(70.0)):
        assert wait_s(cluster, 100.0) == pytest.approx(LOOP_WAIT_S * 1.05)
