"""What the keeper of the lease remembers of an acquisition whose answer was lost."""

from types import SimpleNamespace
from typing import cast

import pytest

from hacore.act.keeper import LeaseKeeper
from hacore.interfaces import Snapshot
from hacore.model.cluster import OwnRecord
from hacore.model.memory import Memory
from hacore.ports import Ports
from tests.unit.decide import worlds as w

ATTEMPTED = 7


def keeper() -> LeaseKeeper:
    settings, disk = SimpleNamespace(me=lambda: w.world().me), SimpleNamespace(load=Memory)
    found = LeaseKeeper(cast("Ports", SimpleNamespace(settings=settings, disk=disk, boot_id="boot")))
    found.attempted_token = ATTEMPTED
    return found


@pytest.mark.parametrize(
    ("own", "is_kept"),
    [
        (None, True),
        (w.own(holder="b", token=6), True),  # the request may still be on its way
        (w.own(holder="a", token=7), True),
        (w.own(holder="b", token=7), False),
        (w.own(holder="b", token=8), False),
    ],
)
def test_an_attempt_is_remembered_while_it_may_have_taken_effect_or_may_yet(own: OwnRecord | None, is_kept: bool) -> None:
    one = keeper()
    one.saw(Snapshot(sent_at=w.NOW, revision=1, lock=None), w.cluster("b", own=own))
    assert (one.attempted_token == ATTEMPTED) is is_kept
