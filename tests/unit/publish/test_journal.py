"""The event journal: JSON lines of bounded size, that a crash may cut off."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hacore.model.events import Event, EventKind
from hacore.publish.journal import FILE_NAME, Journal, decode, encode, read_journal


def event(number: int = 1) -> Event:
    return Event(
        id=number, at=datetime(2025, 1, 2, 3, 4, 5, 678000, tzinfo=UTC), kind=EventKind.SWITCHOVER, scope="c", member="a", role="primary",
        token=7, timeline=2, data=(("previous", "b"), ("total_ms", 61)),
    )  # fmt: skip


def write(directory: Path, *events: Event, size_bytes: int = 1 << 20) -> Journal:
    journal = Journal(directory, size_bytes=size_bytes)
    for one in events:
        journal.append(one)
    journal.close(10)
    return journal


def test_an_event_is_read_back_as_it_was_written() -> None:
    assert decode(encode(event())) == event()


def test_the_journal_is_read_in_the_order_of_writing(tmp_path: Path) -> None:
    write(tmp_path, event(1), event(2))
    write(tmp_path, event(3))
    assert [one.id for one in read_journal(tmp_path)] == [1, 2, 3]


def test_the_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    assert Journal(tmp_path).last_id == 0
    write(tmp_path, event(41))
    assert Journal(tmp_path).last_id == 41


def test_the_journal_keeps_two_files_of_its_size(tmp_path: Path) -> None:
    for number in range(1, 41):
        write(tmp_path, event(number), size_bytes=1000)
    found = [one.id for one in read_journal(tmp_path)]
    assert found == list(range(found[0], 41))
    assert 1 < found[0] < 40
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2 * 1300


@pytest.mark.parametrize("rest", ['{"id":1,"at":"2025-0', "\0\0\0", "[1]\n", '{"id":9}\n', '{"id":1,"kind":"of a later version"}\n'])
def test_what_a_crash_has_cut_off_hides_only_itself(tmp_path: Path, rest: str) -> None:
    write(tmp_path, event(1))
    with (tmp_path / FILE_NAME).open("a") as journal:
        journal.write(rest)
    write(tmp_path, event(2))
    assert [one.id for one in read_journal(tmp_path)] == [1, 2]


def test_a_disk_that_refuses_costs_only_the_events(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "missing")
    journal.append(event())
    journal.close(10)
    assert journal.lost == 1
