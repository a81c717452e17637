"""The deadline word in shared memory, and where the guard keeps its files."""

import os
from pathlib import Path

import pytest

from hacore.guard.paths import address_of, ensure_state_dir, state_dir_of
from hacore.guard.word import Word, create_memory


def test_what_one_mapping_stores_the_other_reads() -> None:
    fd = create_memory("test")
    try:
        writer, reader = Word(fd), Word(fd)
        writer.store(2**64 - 1)
        assert reader.load() == 2**64 - 1
        writer.close()
        reader.close()
    finally:
        os.close(fd)


def test_nobody_can_shorten_the_memory_under_the_others() -> None:
    fd = create_memory("test")
    try:
        with pytest.raises(PermissionError):
            os.ftruncate(fd, 0)
    finally:
        os.close(fd)


@pytest.mark.parametrize("data_dir", ["/pg/data", "/pg/data/", "/pg//data", "/pg/x/../data"])
def test_the_state_directory_stands_beside_the_data_directory(data_dir: str) -> None:
    assert state_dir_of(data_dir) == "/pg/data.hacore"


def test_a_state_directory_is_for_its_owner_alone(tmp_path: Path) -> None:
    place = tmp_path / "state"
    place.mkdir(mode=0o755)
    ensure_state_dir(str(place))
    assert place.stat().st_mode & 0o777 == 0o700


def test_a_short_address_is_taken_as_it_is_and_a_long_one_through_its_directory(tmp_path: Path) -> None:
    with address_of("/run/guard.sock") as address:
        assert address == "/run/guard.sock"
    far = tmp_path / ("d" * 120)
    far.mkdir()
    (far / "guard.sock").touch()
    with address_of(str(far / "guard.sock")) as address:
        assert len(address) < 107
        assert Path(address).exists()
