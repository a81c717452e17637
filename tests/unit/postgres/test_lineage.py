import pytest

from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory, TimelineSwitch
from hacore.postgres.lineage import Diverged, Prefix, compare

THIRD = TimelineHistory(
    timeline=4,
    switches=(
        TimelineSwitch(timeline=1, switchpoint=Lsn(100)),
        TimelineSwitch(timeline=2, switchpoint=Lsn(200)),
    ),
)


@pytest.mark.parametrize(
    ("timeline", "end"),
    [(1, 50), (1, 100), (2, 150), (2, 200), (4, 10_000)],
)
def test_wal_that_the_leader_has_as_well_is_a_prefix(timeline: int, end: int) -> None:
    assert compare(timeline, Lsn(end), THIRD) == Prefix()


@pytest.mark.parametrize(
    ("timeline", "end", "parted_at"),
    [(1, 101, 100), (2, 201, 200), (3, 150, 200), (5, 10, 200)],
)
def test_wal_that_the_leader_does_not_have_has_diverged(timeline: int, end: int, parted_at: int) -> None:
    found = compare(timeline, Lsn(end), THIRD)
    assert isinstance(found, Diverged)
    assert found.at == Lsn(parted_at)


def test_nobody_is_ahead_of_the_leader_on_its_own_timeline() -> None:
    assert compare(4, Lsn(500), THIRD, leader_end=Lsn(500)) == Prefix()
    assert isinstance(compare(4, Lsn(501), THIRD, leader_end=Lsn(500)), Diverged)


def test_histories_without_a_common_timeline_have_no_point_where_they_parted() -> None:
    found = compare(2, Lsn(5), TimelineHistory(timeline=1))
    assert isinstance(found, Diverged)
    assert found.at is None
