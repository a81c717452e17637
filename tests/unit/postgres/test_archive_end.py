"""What a history tells of WAL that was missing when it was written."""

import pytest

from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory, TimelineSwitch
from hacore.postgres.archive_end import Gap, gap_behind, gap_in

SEGMENT = 16 << 20


def history(*switches: tuple[int, int]) -> TimelineHistory:
    made = tuple(TimelineSwitch(timeline=timeline, switchpoint=Lsn(at)) for timeline, at in switches)
    return TimelineHistory(timeline=9, switches=made)


@pytest.mark.parametrize(
    "switches", [(), ((1, 5 * SEGMENT),), ((1, 5 * SEGMENT), (2, 5 * SEGMENT + 1)), ((1, 5 * SEGMENT), (2, 8 * SEGMENT))]
)
def test_an_end_on_the_timeline_that_was_followed_is_no_gap(switches: tuple[tuple[int, int], ...]) -> None:
    assert gap_in(history(*switches), SEGMENT, lambda _: False) is None


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
    gap = gap_in(history(*switches), SEGMENT, lambda _: False)
    instead = switches[-2][0] if int(segment[:8], 16) == switches[-1][0] else None  # nothing of the newest timeline may be there
    assert gap == Gap(segment=segment, at=Lsn(switches[-1][1]), later=f"timeline {later}", instead=instead)


@pytest.mark.parametrize(
    ("begins", "there", "segment", "instead"),
    [
        pytest.param(5 * SEGMENT + 9, (), "000000010000000000000004", None, id="it is not there"),
        pytest.param(5 * SEGMENT + 9, ("000000010000000000000004",), "000000020000000000000005", 1, id="nothing of the newest"),
        pytest.param(6 * SEGMENT, ("000000010000000000000004",), "000000010000000000000005", None, id="in the middle of the older one"),
        pytest.param(
            6 * SEGMENT, ("000000010000000000000004", "000000010000000000000005"), "000000010000000000000004", None, id="it is damaged"
        ),
        pytest.param(5 * SEGMENT - 9, ("000000020000000000000004",), "000000020000000000000004", 1, id="that of the newest is damaged"),
    ],
)
def test_where_the_end_is_inside_a_record_the_segment_after_it_may_be_the_missing_one(
    begins: int, there: tuple[str, ...], segment: str, instead: int | None
) -> None:
    gap = gap_in(history((1, begins), (2, 5 * SEGMENT - 80)), SEGMENT, there.__contains__)
    assert gap == Gap(segment=segment, at=Lsn(5 * SEGMENT - 80), later="timeline 2", instead=instead)


def segment(number: int) -> str:
    return f"0000000100000000{number:08X}"


def behind(end: int, there: set[int], *, is_written_to: bool = False) -> str | None:
    """The segment that is named, and the one that comes after it."""
    names = {segment(number) for number in there}
    gap = gap_behind(TimelineSwitch(timeline=1, switchpoint=Lsn(end)), SEGMENT, names.__contains__, is_written_to=is_written_to)
    return None if gap is None else f"{int(gap.segment, 16) % 16}, {int(gap.later, 16) % 16}"


@pytest.mark.parametrize(
    ("end", "there", "told"),
    [
        pytest.param(5 * SEGMENT, {4}, None, id="it ends with a switch"),
        pytest.param(5 * SEGMENT, {4, 6, 7}, "5, 6", id="missing after a switch"),
        pytest.param(5 * SEGMENT, {4, 5, 6}, "5, 6", id="damaged after a switch"),
        pytest.param(5 * SEGMENT - 80, {4}, None, id="it ends inside a record"),
        pytest.param(5 * SEGMENT - 80, {4, 6}, "5, 6", id="missing after one that ends inside a record"),
        pytest.param(5 * SEGMENT - 80, {4, 5, 6}, "4, 5", id="damaged inside"),
        pytest.param(5 * SEGMENT - 80, {5, 6}, "4, 5", id="it came with the backup and is missing"),
        pytest.param(5 * SEGMENT, {4, 13}, "5, 13", id="many are lost"),
    ],
)
def test_the_segment_that_stopped_the_recovery_is_named(end: int, there: set[int], told: str | None) -> None:
    assert behind(end, there) == told


@pytest.mark.parametrize("end", [5 * SEGMENT, 5 * SEGMENT - 80], ids=["after a switch", "inside a record"])
def test_what_others_have_archived_meanwhile_is_no_gap(end: int) -> None:
    assert behind(end, {4, 5, 6, 7}, is_written_to=True) is None
    assert behind(end, {4, 6, 7}, is_written_to=True) == "5, 6"


def test_what_comes_while_the_archive_is_asked_is_no_gap() -> None:
    there = {segment(4)}

    def has(name: str) -> bool:
        is_there = name in there
        there.update(map(segment, range(5, 8)))  # as an archiver that is at work
        return is_there

    end = TimelineSwitch(timeline=1, switchpoint=Lsn(5 * SEGMENT - 80))
    assert gap_behind(end, SEGMENT, has, is_written_to=True) is None
