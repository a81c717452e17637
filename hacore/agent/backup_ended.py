"""How work on backups ends on a node."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hacore.errors import DataDirectoryError, HacoreError
from hacore.postgres.job import JobHandle


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How work ended. ``error`` ``None``: it was done. ``is_found_bad``: the error is of the backup, else it says nothing of it."""

    error: str | None = None
    detail: str = ""
    backup: str | None = None
    is_found_bad: bool = False


class FoundBadError(HacoreError):
    """The backup itself was looked at, and is no good."""


@contextmanager
def judging(job: JobHandle) -> Iterator[None]:
    """Take what is wrong with a copy, in a block, for a fault of its backup. What was cancelled, or did not answer, has shown none.

    :raises FoundBadError: something is wrong with it.
    """
    try:
        yield
    except DataDirectoryError as error:
        job.check()  # a program that was ended may have failed by that
        raise FoundBadError(str(error)) from error
