"""The log of the start does not grow without limit, also where the disk is full."""

import resource
from pathlib import Path

import pytest

from hacore.postgres.startup_log import LONGEST, bound


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "startup.log"
    path.write_bytes(b"first words")
    with path.open("r+b") as file:
        file.truncate(LONGEST + 1)
    return path


def test_a_log_that_is_too_long_begins_anew_and_is_kept_beside(log: Path) -> None:
    bound(log)
    assert log.stat().st_size == 0
    assert log.with_suffix(".log.1").stat().st_size == LONGEST + 1


def test_a_short_log_and_none_are_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "startup.log"
    bound(log)
    log.write_bytes(b"words")
    bound(log)
    assert [path.name for path in tmp_path.iterdir()] == ["startup.log"]


def test_where_there_is_no_space_for_a_copy_it_is_cut_all_the_same(log: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LONGEST // 2, before[1]))  # as the disk would, in the middle of the copy
    try:
        bound(log)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (log.stat().st_size, log.with_suffix(".log.1").exists()) == (0, False)


def test_a_log_that_cannot_be_cut_stops_nothing(log: Path) -> None:
    log.with_suffix(".log.1").mkdir()
    bound(log)
    assert log.stat().st_size == 0
    bound(log / "not a directory")
