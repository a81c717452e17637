"""What the server's archiver is at: its own counters, and the files that wait for it. It changes nothing."""

import os
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hacore.errors import DataDirectoryError, PostgresUnreachableError
from hacore.postgres.instance import Instance

READY: Final = ".ready"
_STATUS: Final = "archive_status"
_ANSWER_S: Final = 5.0
_QUERY: Final = """SELECT archived_count, failed_count, last_failed_wal,
    coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) FROM pg_stat_archiver"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiverFacts:
    """What ``pg_stat_archiver`` says."""

    pushed: int
    failed: int
    last_failed: str | None
    is_failing: bool  # the last push failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Files that PostgreSQL has marked as to be pushed."""

    files: int
    oldest_s: float | None


def archiver_facts(instance: Instance) -> ArchiverFacts | None:
    """Ask the server; ``None`` where it does not answer."""
    try:
        with closing(instance.session(statement_timeout_s=_ANSWER_S)) as session:
            pushed, failed, last_failed, is_failing = session.query(_QUERY, timeout_s=_ANSWER_S)[0]
    except PostgresUnreachableError:
        return None
    return ArchiverFacts(pushed=pushed, failed=failed, last_failed=last_failed, is_failing=is_failing)


def ready_files(wal_dir: Path) -> list[str]:
    """Return the names of the files that wait, in the order in which PostgreSQL pushes them: histories first.

    :raises DataDirectoryError: the directory cannot be read.
    """
    try:
        found = [entry.name.removesuffix(READY) for entry in os.scandir(wal_dir / _STATUS) if entry.name.endswith(READY)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataDirectoryError(f"{wal_dir / _STATUS}: {error.strerror}") from error
    return sorted(found, key=lambda name: (not name.endswith(".history"), name))


def mark_done(wal_dir: Path, name: str) -> None:
    """Note that a file has been pushed, as PostgreSQL does."""
    status = wal_dir / _STATUS
    (status / f"{name}{READY}").replace(status / f"{name}.done")


def waiting(wal_dir: Path) -> Waiting:
    """Count what waits.

    :raises DataDirectoryError: the directory cannot be read.
    """
    names = ready_files(wal_dir)
    ages = [age for age in (_age_s(wal_dir / _STATUS / f"{name}{READY}") for name in names[:1] + names[-1:]) if age is not None]
    return Waiting(files=len(names), oldest_s=max(ages, default=None))


def _age_s(path: Path) -> float | None:
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except FileNotFoundError:  # it has just been pushed
        return None
