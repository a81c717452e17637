"""A copy that is only looked at takes nothing that the server beside it needs."""

from pathlib import Path

import pytest

from hacore.agent.scratch_room import RESERVE_BYTES, ScratchRoom, is_shared
from hacore.errors import DataDirectoryError, JobCancelledError
from hacore.postgres.job import JobHandle

GIB = 1 << 30


def room(*free: int, shared: bool = True) -> ScratchRoom:
    """One that has less and less."""
    left = list(free)
    return ScratchRoom(root=Path("/scratch"), is_shared=shared, free=lambda _: left.pop(0) if len(left) > 1 else left[0])


def test_on_a_disk_of_the_server_a_reserve_is_kept() -> None:
    room(11 * GIB + RESERVE_BYTES).refuse_without(10 * GIB)
    room(11 * GIB, shared=False).refuse_without(10 * GIB)
    with pytest.raises(DataDirectoryError, match="the backup needs 13312, 2048 of it for the server"):
        room(11 * GIB + RESERVE_BYTES - 1).refuse_without(10 * GIB)


def test_on_a_disk_of_the_server_a_size_that_nobody_knows_is_refused() -> None:
    room(GIB, shared=False).refuse_without(None)
    with pytest.raises(DataDirectoryError, match="does not tell"):
        room(1000 * GIB).refuse_without(None)


def test_the_work_ends_as_soon_as_the_reserve_is_touched() -> None:
    job = JobHandle()
    with pytest.raises(JobCancelledError, match="on a disk of the server"), room(9 * GIB, RESERVE_BYTES - 1).watched(job):
        job.wait(30)


def test_on_another_disk_nothing_ends_it() -> None:
    job = JobHandle()
    with room(0, shared=False).watched(job):
        job.wait(1)


def test_what_is_on_one_disk_is_known(tmp_path: Path) -> None:
    assert is_shared(tmp_path, [tmp_path / "is not there", tmp_path])
    assert not is_shared(tmp_path, [Path("/proc")])
