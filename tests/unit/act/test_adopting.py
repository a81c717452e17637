"""How a primary that runs without a lease gets its deadline."""

from types import SimpleNamespace
from typing import cast

import pytest

from hacore.act.actor import Actor
from hacore.act.keeper import LeaseKeeper
from hacore.errors import DataDirectoryError
from hacore.model.clock import BootClock
from hacore.model.memory import Memory
from hacore.model.steps import ArmAdopted
from hacore.model.world import Decision
from hacore.ports import Ports
from hacore.testing.paper import PaperFence
from tests.unit.decide import worlds as w

CLOCK = BootClock()
DECISION = Decision(table="unsure", rule="adopted_primary_needs_a_deadline", reason="", steps=(ArmAdopted(),))


def refuse(memory: Memory) -> None:
    raise DataDirectoryError(f"no space for {memory}")


def adopt(memory: Memory, *, is_full: bool = False) -> tuple[PaperFence, Memory]:
    """Arm for the primary of a node that remembers this; tell what it remembers then."""
    fence, settings = PaperFence(CLOCK), SimpleNamespace(me=lambda: w.world().me)
    disk = SimpleNamespace(load=lambda: memory, store=refuse if is_full else lambda _: None)
    ports = cast("Ports", SimpleNamespace(clock=CLOCK, fence=fence, settings=settings, disk=disk, boot_id="boot"))
    keeper = LeaseKeeper(ports)
    Actor(ports, keeper).carry_out(DECISION, w.world(cluster=None, node=w.primary()))
    return fence, keeper.remembered.memory


@pytest.mark.parametrize("is_full", [False, True])
def test_the_deadline_is_t_from_now_and_in_force_also_where_the_disk_does_not_take_it(is_full: bool) -> None:
    fence, memory = adopt(Memory(), is_full=is_full)
    assert fence.state().armed
    assert memory.adopted_deadline == pytest.approx(CLOCK.now() + w.TIMES.ttl_s, abs=5.0)
    assert memory.adopted_boot_id == "boot"


def test_one_of_this_boot_is_not_extended_and_one_of_another_boot_says_nothing() -> None:
    ends_at = CLOCK.now() + 7.0
    _, kept = adopt(Memory(adopted_deadline=ends_at, adopted_boot_id="boot"))
    assert kept.adopted_deadline == ends_at
    _, fresh = adopt(Memory(adopted_deadline=ends_at, adopted_boot_id="before"))
    assert fresh.adopted_deadline != ends_at
