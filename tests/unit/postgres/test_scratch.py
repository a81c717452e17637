"""Where a restored copy listens, and for whose fault it did not come up."""

import shutil
from pathlib import Path

import pytest

from hacore.postgres.scratch import is_its_own_fault, make_place_for_sockets


def test_sockets_stand_beside_the_copy(tmp_path: Path) -> None:
    place = make_place_for_sockets(Path("/tmp") / tmp_path.name)
    shutil.rmtree(place)
    assert place == Path("/tmp") / f"{tmp_path.name}.run"


def test_a_path_that_is_too_long_for_a_socket_is_not_used(tmp_path: Path) -> None:
    place = make_place_for_sockets(tmp_path / ("deep" * 20) / "data")
    try:
        assert len(str(place)) < 80
        assert place.stat().st_mode & 0o777 == 0o700
    finally:
        shutil.rmtree(place)


@pytest.mark.parametrize(
    "said",
    [
        "PANIC:  could not locate a valid checkpoint record",
        "FATAL:  recovery ended before configured recovery target was reached",
        "FATAL:  requested timeline 2 does not contain minimum recovery point 0/5000100 on timeline 1",
        'PANIC:  could not open file "global/1262": No such file or directory',
        'connection to server on socket "/s/.s.PGSQL.5432" failed: FATAL:  "base/5" is not a valid data directory',
    ],
)
def test_what_a_server_finds_in_its_data_directory_is_a_fault_of_that(said: str) -> None:
    assert is_its_own_fault(f"LOG:  starting backup recovery | {said}")


@pytest.mark.parametrize(
    "said",
    [
        'FATAL:  could not restore file "000000010000000000000003" from archive: child process exited with exit code 126',
        'PANIC:  could not write to file "pg_wal/xlogtemp.712": No space left on device',
        'FATAL:  could not extend file "base/5/1259": wrote only 4096 of 8192 bytes at block 9 | HINT: Disk quota exceeded',
        "FATAL:  could not map anonymous shared memory: Cannot allocate memory",
        'FATAL:  could not read file "base/5/1259": Input/output error',
        "LOG:  startup process (PID 712) was terminated by signal 9: Killed | FATAL:  terminating",
        "LOG:  startup process (PID 712) exited with exit code 1",
        "FATAL:  the database system is in recovery mode",
        'FATAL:  role "admin" does not exist',
        "server closed the connection unexpectedly",
        "",
    ],
)
def test_what_an_archive_or_the_machine_lacks_is_no_fault_of_the_copy(said: str) -> None:
    assert not is_its_own_fault(f"LOG:  starting backup recovery | {said}")
