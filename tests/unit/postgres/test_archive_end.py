"""What a history tells of WAL that was missing when it was written."""

import pytest

from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory, TimelineSwitch
from hacore.postgres.archive_end import Gap, gap_in

SEGMENT = 16 << 20


def history(*switches: tuple[int, int]) -> TimelineHistory:
    made = tuple(TimelineSwitch(timeline=timeline, switchpoint=Lsn(at)) for timeline, at in switches)
    return TimelineHistory(timeline=9, switches=made)


@pytest.mark.parametrize(
    "switches", [(), ((1, 5 * SEGMENT),), ((1, 5 * SEGMENT), (2, 5 * SEGMENT + 1)), ((1, 5 * SEGMENT), (2, 8 * SEGMENT))]
)
def test_an_end_on_the_timeline_that_was_followed_is_no_gap(switches: tuple[tuple[int, int], ...]) -> None:
    assert gap_in(history(*switches), SEGMENT) is None


@pytest.mark.parametrize(
    ("switches", "segment", "later"),
    [
        pytest.param(((1, 5 * SEGMENT + 9), (2, 3 * SEGMENT)), "000000010000000000000003", 2, id="in the middle of the older timeline"),
        pytest.param(((1, 5 * SEGMENT + 9), (2, 5 * SEGMENT)), "000000020000000000000005", 2, id="its first segment has what came before"),
        pytest.param(((1, 5 * SEGMENT), (2, 5 * SEGMENT)), "000000020000000000000005", 2, id="nothing of it at all"),
        pytest.param(
            ((1, 300 * SEGMENT), (3, 400 * SEGMENT), (4, 256 * SEGMENT + 7)), "000000010000000100000000", 4, id="the oldest of three"
        ),
        pytest.param(((1, 3 * SEGMENT), (3, 8 * SEGMENT), (4, 6 * SEGMENT)), "000000030000000000000006", 4, id="between"),
    ],
)
def test_a_timeline_that_was_left_before_it_began_was_not_reached(switches: tuple[tuple[int, int], ...], segment: str, later: int) -> None:
    assert gap_in(history(*switches), SEGMENT) == Gap(segment=segment, at=Lsn(switches[-1][1]), later=f"timeline {later}")
