"""Fixtures for every test of the workspace, those of the plugins included: a scratch directory that is kept when the test fails."""

import re
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from hacore.testing.workdir import work_directory

FAILED = pytest.StashKey[bool]()
KEPT = pytest.StashKey[Path]()
LONGEST_NAME = 40  # paths of Unix sockets must stay below 108 bytes


@pytest.fixture
def scratch(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A directory with a short path that belongs to the user who runs PostgreSQL; kept when the test fails."""
    slug = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:LONGEST_NAME].strip("-")
    with work_directory(f"{slug}-") as directory:
        request.node.stash[KEPT] = directory.path
        yield directory.path
        directory.keep = request.node.stash.get(FAILED, False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember a failure for the fixture, and name the directory in the report."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
        kept = item.stash.get(KEPT, None)
        if kept is not None:
            report.sections.append(("scratch directory", f"kept in {kept}"))
    return report
