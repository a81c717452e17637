"""The few exceptions: each means "could not do it" or "could not find out"; an expected answer is a value instead."""

from types import TracebackType
from typing import Self


class HacoreError(Exception):
    """Base of every exception that hacore raises on purpose."""


class ConfigError(HacoreError):
    """The configuration is wrong. At start: exit code 2. At a reload: the old settings stay."""


class PluginError(HacoreError):
    """A plugin is missing, double, broken or misdeclared. At start: exit code 2. At a reload: the old settings stay."""


class PluginUnavailableError(HacoreError):
    """A plugin could not reach what it drives. The core tries again later."""


class DcsUnavailableError(HacoreError):
    """The store did not answer in time: the outcome is *unknown*, assume neither that it happened nor that it did not."""


class PostgresUnreachableError(HacoreError):
    """PostgreSQL did not answer in time: its role is unknown, which is not the same as being a standby."""


class DataDirectoryError(HacoreError):
    """The data directory is in a state that a person must look at."""


class FoundBadError(HacoreError):
    """A backup, or what was restored of it, was looked at and is no good: raised by who has seen it, never for what failed."""

    def __init__(self, message: str, *, may_lack_wal: bool = False) -> None:
        super().__init__(message)
        self.may_lack_wal = may_lack_wal  # that alone would explain it


class ArchiveConflictError(HacoreError):
    """The archive has another file under the name of one that waits here: both histories stay as they are until a person has looked."""


class GuardUnavailableError(HacoreError):
    """The guard did not answer: nothing that enables writes may be done until it does."""


class JobCancelledError(HacoreError):
    """Long work was cancelled before its end, by the loop or by a person."""


class Enduring:
    """One round of a thread that has to go on whatever it meets: nobody misses one that has ended, only what it did."""

    def __init__(self) -> None:
        self.error: Exception | None = None  # what it met

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        """Keep an error, and go on after it."""
        self.error = error if isinstance(error, Exception) else None
        return self.error is not None
