"""Fixtures for every test of the workspace: a scratch directory, kept when the test fails, and a ``wal-g`` that the summary names."""

import re
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from hacore.testing.walg.binary import Walg, find_walg
from hacore.testing.workdir import work_directory

FAILED = pytest.StashKey[bool]()
KEPT = pytest.StashKey[Path]()
WALG = "wal-g"
LONGEST_NAME = 40  # paths of Unix sockets must stay below 108 bytes


def pytest_configure() -> None:
    """Heed signals again that a shell has its background ignore: every process that a test starts would be deaf to them, too."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def scratch(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A directory with a short path that belongs to the user who runs PostgreSQL; kept when the test fails."""
    slug = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:LONGEST_NAME].strip("-")
    with work_directory(f"{slug}-") as directory:
        request.node.stash[KEPT] = directory.path
        yield directory.path
        directory.keep = request.node.stash.get(FAILED, False)


@pytest.fixture
def walg(request: pytest.FixtureRequest, scratch: Path) -> Walg:
    """The program ``wal-g`` of this machine, or the stand-in; whoever runs PostgreSQL may run it."""
    found = find_walg(scratch)
    request.node.user_properties.append((WALG, "the stand-in of hacore.testing" if found.is_stand_in else str(found.path)))
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which program the tests of WAL-G ran."""
    reports = [report for group in terminalreporter.stats.values() for report in group if isinstance(report, pytest.TestReport)]
    for used in sorted({str(value) for report in reports for name, value in report.user_properties if name == WALG}):
        terminalreporter.write_line(f"{WALG}: {used}")


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
