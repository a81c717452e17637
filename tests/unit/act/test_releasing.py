"""Giving the lock back as clean, whatever rule asks for it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from hacore.act.actor import Actor
from hacore.act.keeper import LeaseKeeper
from hacore.model.clock import BootClock
from hacore.model.jobs import JobKind
from hacore.model.steps import ReleaseLease
from hacore.model.world import Decision
from hacore.ports import Ports
from hacore.testing.paper import PaperFence
from tests.unit.decide import worlds as w

CLOCK = BootClock()


@pytest.mark.parametrize(("clean", "enables_writes", "released"), [(True, True, False), (True, False, True), (False, True, True)])
def test_the_clean_mark_is_refused_while_work_in_flight_makes_a_primary(clean: bool, enables_writes: bool, released: bool) -> None:
    told: list[bool] = []
    fence = PaperFence(CLOCK)
    fence.arm(token=1, fence_at=CLOCK.now() + 30.0, budget_s=1.0)
    keeper: Any = SimpleNamespace(release=lambda *, clean, **_: told.append(clean))
    ports = cast("Ports", SimpleNamespace(fence=fence, lease_ends=lambda: None))
    world = w.leading(node=w.stopped(fence=fence.state()), job=w.job(JobKind.START, enables_writes=enables_writes))
    decision = Decision(table="t", rule="any_rule", reason="", steps=(ReleaseLease(clean=clean),))
    Actor(ports, cast("LeaseKeeper", keeper)).carry_out(decision, world)
    assert told == ([clean] if released else [])
    assert fence.state().armed is not (clean and released)
