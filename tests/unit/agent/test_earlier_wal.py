"""Which WAL of a backup is that of servers before."""

import pytest

from hacore.agent.earlier_wal import last_of, last_of_others
from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory, TimelineSwitch

SEGMENT = 16 << 20
HISTORY = TimelineHistory(
    timeline=4,
    switches=(TimelineSwitch(timeline=1, switchpoint=Lsn(5 * SEGMENT + 9)), TimelineSwitch(timeline=2, switchpoint=Lsn(8 * SEGMENT))),
)


@pytest.mark.parametrize(
    ("start", "stop", "name"),
    [
        pytest.param(3 * SEGMENT, 4 * SEGMENT + 1, "000000010000000000000004", id="on the first"),
        pytest.param(3 * SEGMENT, 4 * SEGMENT, "000000010000000000000003", id="up to an edge"),
        pytest.param(3 * SEGMENT, 5 * SEGMENT + 1, "000000020000000000000005", id="the first file of the next has it, too"),
        pytest.param(3 * SEGMENT, 9 * SEGMENT, "000000020000000000000007", id="beyond the end of the others"),
        pytest.param(8 * SEGMENT, 9 * SEGMENT, None, id="on the leader's own"),
        pytest.param(None, None, "000000020000000000000007", id="nothing is known"),
    ],
)
def test_the_last_segment_of_others_is_told(start: int | None, stop: int | None, name: str | None) -> None:
    known = {"start": None if start is None else Lsn(start), "stop": None if stop is None else Lsn(stop)}
    assert last_of_others(HISTORY, **known, segment_bytes=SEGMENT) == name


@pytest.mark.parametrize(
    ("start", "stop", "names"),
    [
        pytest.param(3 * SEGMENT, 4 * SEGMENT + 1, ("000000010000000000000004",), id="on the first"),
        pytest.param(3 * SEGMENT, 9 * SEGMENT, ("000000040000000000000008", "000000020000000000000007"), id="begun on another"),
        pytest.param(8 * SEGMENT, 9 * SEGMENT + 1, ("000000040000000000000009",), id="on the leader's own"),
        pytest.param(None, 9 * SEGMENT, ("000000040000000000000008", "000000020000000000000007"), id="its start is not known"),
    ],
)
def test_the_ends_of_what_each_server_has_of_a_backup_are_told(start: int | None, stop: int, names: tuple[str, ...]) -> None:
    assert last_of(HISTORY, None if start is None else Lsn(start), Lsn(stop), SEGMENT) == names


def test_the_first_server_of_a_cluster_has_written_everything() -> None:
    assert last_of_others(TimelineHistory(timeline=1), Lsn(SEGMENT), Lsn(2 * SEGMENT), SEGMENT) is None
