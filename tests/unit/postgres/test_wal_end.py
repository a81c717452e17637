from pathlib import Path

import pytest

from hacore.model.lsn import Lsn
from hacore.model.node import ControlData
from hacore.postgres.history import HistoryReader, name_of
from hacore.postgres.wal_end import Start, advance, nothing_begins, segment_start, starting_point

MIB = 1 << 20
SEGMENT = 16 * MIB


def control(timeline: int, checkpoint: int, minimum: tuple[int, int] | None = None) -> ControlData:
    return ControlData(
        system_id="1",
        state="x",
        timeline=timeline,
        checkpoint_lsn=Lsn(checkpoint),
        redo_lsn=Lsn(checkpoint),
        min_recovery_lsn=Lsn(minimum[1]) if minimum else None,
        min_recovery_timeline=minimum[0] if minimum else None,
    )


@pytest.mark.parametrize(
    ("lsn", "length", "end"),
    [
        (0x3000028, 114, 0x30000A0),  # a shutdown checkpoint: the figure that every administrator has seen
        (0x3000028, 34, 0x3000050),
        (0x3001FF0, 34, 0x3002030),  # 16 bytes on this page, header of 24, 18 on the next, aligned
        (0x3FFFFF0, 34, 0x4000040),  # the same at the end of a segment: its first header has 40
    ],
)
def test_the_end_of_a_record_counts_page_headers_and_alignment(lsn: int, length: int, end: int) -> None:
    assert advance(Lsn(lsn), length, SEGMENT) == Lsn(end)


def test_the_first_position_of_a_segment_follows_from_its_name() -> None:
    assert segment_start("000000010000000200000003", SEGMENT) == Lsn.parse("2/3000000")
    assert segment_start("000000010000000200000003", 64 * MIB) == Lsn.parse("2/C000000")


def test_reading_begins_at_the_newest_point_that_was_replayed(tmp_path: Path) -> None:
    histories = HistoryReader(tmp_path)
    assert starting_point(control(1, 100), ["000000010000000000000001"], histories) == Start(lsn=Lsn(100), timeline=1)
    assert starting_point(control(1, 100, (1, 500)), [], histories) == Start(lsn=Lsn(500), timeline=1)


def test_wal_of_a_newer_timeline_that_was_received_counts_if_it_descends_from_what_was_replayed(tmp_path: Path) -> None:
    (tmp_path / name_of(3)).write_text("1\t0/200\tx\n")
    (tmp_path / name_of(4)).write_text("1\t0/10\tx\n")
    segments = ["000000010000000000000001", "000000030000000000000001", "000000040000000000000001"]
    found = starting_point(control(1, 0x100), segments, HistoryReader(tmp_path))
    assert found == Start(lsn=Lsn(0x200), timeline=3)


@pytest.mark.parametrize(
    ("lsn", "content", "ended"),
    [
        (0x5000000, bytes(8192), True),
        (0x5000000, b"\x10\xd1" + bytes(8190), False),
        (0x5000028, bytes(8192), False),  # in the middle of a segment there was a first page
        (0x6000000, bytes(8192), False),  # another file
    ],
)
def test_no_record_begins_in_a_segment_that_was_never_written(tmp_path: Path, lsn: int, content: bytes, ended: bool) -> None:
    (tmp_path / "000000010000000000000005").write_bytes(content)
    assert nothing_begins(tmp_path, Start(lsn=Lsn(lsn), timeline=1), 16 << 20) is ended
