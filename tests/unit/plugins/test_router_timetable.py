"""When a router is told what."""

import pytest

from hacore.hookspecs import Route
from hacore.interfaces import Endpoint, RoutingState
from hacore.model.clock import BootClock
from hacore.plugins.router_timetable import Timetable
from tests.unit.plugins.making import CONTEXT

A = Endpoint(member="a", host="10.0.0.1", port=5432)
STATE = RoutingState(token=1, revision=1, me=A, leader=A, members=(A,))


@pytest.mark.parametrize(("failures", "after_s"), [(1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0), (5, 5.0), (100_000, 5.0)])
def test_a_router_that_fails_is_tried_again_soon_however_long_it_has_failed(failures: int, after_s: float) -> None:
    times = Timetable(BootClock(), looks=False, newest=Route(context=CONTEXT, state=STATE))
    for _ in range(failures):
        times.was_told(STATE, is_applied=False)
    assert times.route_due_at() == pytest.approx(times.told_at + after_s)
