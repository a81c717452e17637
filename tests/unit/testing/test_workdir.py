"""A work directory goes with its block, and stays for whoever looks at a failure."""

import shutil
from dataclasses import dataclass

import pytest

from hacore.testing.workdir import work_directory


@dataclass(slots=True)
class Session:
    """What runs tests."""

    testsfailed: int = 0


@pytest.mark.parametrize("failures", [0, 1])
def test_it_stays_when_a_test_fails_meanwhile(failures: int) -> None:
    session = Session(testsfailed=3)
    with work_directory(session=session) as directory:
        session.testsfailed += failures
    assert directory.path.exists() == bool(failures)
    shutil.rmtree(directory.path, ignore_errors=True)


def test_one_that_stays_keeps_its_logs_without_the_bulk_of_data_directories() -> None:
    with work_directory() as directory:
        (directory.path / "n1" / "pg_wal").mkdir(parents=True)
        (directory.path / "n1.log").touch()
        directory.keep = True
    assert [one.relative_to(directory.path).as_posix() for one in sorted(directory.path.rglob("*"))] == ["n1", "n1.log"]
    shutil.rmtree(directory.path)
