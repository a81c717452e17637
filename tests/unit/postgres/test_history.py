from pathlib import Path

import pytest

from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory, TimelineSwitch
from hacore.postgres.history import HistoryReader, name_of, parse_history

TEXT = "1\t0/3000148\tno recovery target specified\n\n# a comment\n2\t1/A0\tbefore 2026-01-01 00:00:00+00\n"
HISTORY = TimelineHistory(
    timeline=11,
    switches=(
        TimelineSwitch(timeline=1, switchpoint=Lsn(0x3000148), reason="no recovery target specified"),
        TimelineSwitch(timeline=2, switchpoint=Lsn.parse("1/A0"), reason="before 2026-01-01 00:00:00+00"),
    ),
)


def test_a_history_file_is_read() -> None:
    assert parse_history(11, TEXT) == HISTORY


@pytest.mark.parametrize("text", ["one\t0/1\tx\n", "1\n", "1\tzero\n", "2\t0/1\n1\t0/2\n", "12\t0/1\n", "1 0/1\n1 0/2\n"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"0000000B\.history"):
        parse_history(11, text)


def test_the_name_is_hexadecimal() -> None:
    assert name_of(11) == "0000000B.history"


def test_the_first_timeline_needs_no_file_and_an_empty_file_is_none(tmp_path: Path) -> None:
    reader = HistoryReader(tmp_path)
    assert reader.of(1) == TimelineHistory(timeline=1)
    (tmp_path / name_of(3)).write_text("")
    (tmp_path / name_of(2)).write_text("1\t0/5\tx\n")
    assert reader.of(3) is None
    assert reader.of(2) is not None
