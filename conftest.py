"""Fixtures for every test of the workspace, those of the plugins included: a scratch directory that is kept when the test fails."""

import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

FAILED = pytest.StashKey[bool]()
KEPT = pytest.StashKey[Path]()
BULK = ("base", "pg_wal")  # of a data directory: what no reader of a failure looks at
LONGEST_NAME = 40  # paths of Unix sockets must stay below 108 bytes


@pytest.fixture(scope="session")
def server_user() -> str | None:
    """Who runs PostgreSQL: nobody special where we are nobody special ourselves."""
    return "postgres" if os.geteuid() == 0 else None


@pytest.fixture
def scratch(request: pytest.FixtureRequest, server_user: str | None) -> Iterator[Path]:
    """A directory with a short path that belongs to the user who runs PostgreSQL; kept, without bulk, when the test fails."""
    named = os.environ.get("HACORE_TEST_LOGS")
    slug = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:LONGEST_NAME].strip("-")
    directory = Path(tempfile.mkdtemp(prefix=f"{slug}-", dir=named))
    directory.chmod(0o755)
    if server_user is not None:
        entry = pwd.getpwnam(server_user)
        os.chown(directory, entry.pw_uid, entry.pw_gid)
    request.node.stash[KEPT] = directory
    yield directory
    if not request.node.stash.get(FAILED, False):
        shutil.rmtree(directory, ignore_errors=True)
        return
    for name in BULK:
        for bulk in directory.rglob(name):
            shutil.rmtree(bulk, ignore_errors=True)


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
