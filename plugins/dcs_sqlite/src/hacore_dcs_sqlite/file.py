"""The one file that the agents of a machine share: opened, kept whole, and entered for short transactions.

A transaction is bounded twice: by the deadline of the call while it waits for its turn, and by a kernel timer that ends this process when
it is stopped inside. A file that was replaced or deleted under us is noticed before each transaction and opened anew. Knows no tables.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Literal

from hacore.errors import ConfigError, DcsUnavailableError
from hacore.model.clock import Clock, Instant
from hacore_dcs_sqlite.kernel_timer import KillTimer

STOPPED_INSIDE_S: Final = 5.0  # a process that stays in a transaction for longer is ended by the kernel: it may wait for a slow disk, too
_CLOSE_S: Final = 5.0  # the last one to close moves the log into the file and flushes it
_PAUSE_S: Final = 0.003
_FORMAT: Final = 1
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})

Identity = tuple[int, int]  # device and inode
Kind = Literal["read", "write"]


class StoreFile:
    """A connection to the file. Used by one thread at a time."""

    def __init__(self, path: Path, clock: Clock, script: str) -> None:
        self._path = path
        self._clock = clock
        self._script = script  # creates what is missing in a new file
        self._timer = KillTimer()
        self._connection: sqlite3.Connection | None = None
        self._identity: Identity | None = None

    @contextmanager
    def transaction(self, kind: Kind, *, until: Instant) -> Iterator[sqlite3.Connection]:
        """Enter a transaction; leave it by commit, or by rollback when the block raises.

        :raises DcsUnavailableError: no turn before ``until``, or the file could not be read or written.
        """
        try:
            connection = self._connected(until)
            with self._timer_and_begin(connection, "BEGIN IMMEDIATE" if kind == "write" else "BEGIN", until):
                yield connection
        except (sqlite3.Error, OSError) as error:
            self._drop()
            raise DcsUnavailableError(f"{self._path}: {error}") from error

    def flush(self) -> None:
        """Bring what was committed to the disk. Outside of the transaction, where a slow disk holds up nobody else.

        One flush SQLite does inside: that of the log's new header, by the first commit after a checkpoint that left nothing in the log.
        """
        try:
            log = os.open(f"{self._path}-wal", os.O_RDONLY)
            try:
                os.fdatasync(log)
            finally:
                os.close(log)
        except OSError as error:
            raise DcsUnavailableError(f"{self._path}-wal: {error}") from error

    def checkpoint(self) -> None:
        """Move the log into the file as far as no reader needs it. Blocks no writer, and a failure costs nothing but space."""
        with suppress(sqlite3.Error):
            if self._connection is not None:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Close the connection. The file stays."""
        self._drop()
        self._timer.close()

    @contextmanager
    def _timer_and_begin(self, connection: sqlite3.Connection, begin: str, until: Instant) -> Iterator[None]:
        while True:
            with self._timer.armed(STOPPED_INSIDE_S):
                if self._began(connection, begin):
                    with _ended(connection):
                        yield
                    return
            self._pause(until, "another process is in a transaction")

    def _began(self, connection: sqlite3.Connection, begin: str) -> bool:
        try:
            connection.execute(begin)
            if begin == "BEGIN":  # a reader enters with its first look
                connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if _is_busy(error):
                return False
            raise
        return True

    def _pause(self, until: Instant, reason: str) -> None:
        if self._clock.now() + _PAUSE_S >= until:
            raise DcsUnavailableError(f"{self._path}: no turn in time, {reason}")
        time.sleep(_PAUSE_S)

    def _connected(self, until: Instant) -> sqlite3.Connection:
        if self._connection is not None and _identity(self._path) == self._identity:
            return self._connection
        self._drop()
        while not self._opened_alone():  # the wait is outside: whoever waits is not stopped, and the timer must not end it
            self._pause(until, "another process is opening it or in a transaction")
        assert self._connection is not None  # noqa: S101 - the loop above ends with one
        return self._connection

    def _opened_alone(self) -> bool:
        """Open the file one process at a time, so that what is left of a replaced file is cleared away only once."""
        opened = Path(f"{self._path}-opened")
        _create(self._path, 0o600)
        _create(opened, self._path.stat().st_mode & 0o666)
        record = os.open(opened, os.O_RDWR | os.O_CLOEXEC)
        try:
            with self._timer.armed(_CLOSE_S):
                if not _locked(record):
                    return False
                _discard_stale_log(self._path, record)
                if not self._opened():
                    return False
                _remember_log(self._path, record)
                return True
        finally:
            os.close(record)

    def _opened(self) -> bool:
        identity = _identity(self._path)
        connection = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")  # flush() does the rest, outside of the transaction
            connection.execute("PRAGMA wal_autocheckpoint=0")
            if self._is_new(connection):  # else who only looks need not wait for a writer
                connection.executescript(f"BEGIN IMMEDIATE; {self._script}; PRAGMA user_version={_FORMAT}; COMMIT")
        except sqlite3.OperationalError as error:
            connection.close()
            if _is_busy(error):
                return False
            raise
        except (sqlite3.Error, ConfigError):
            connection.close()
            raise
        self._connection, self._identity = connection, identity
        return True

    def _is_new(self, connection: sqlite3.Connection) -> bool:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found not in (0, _FORMAT):
            raise ConfigError(f"{self._path}: written in format {found} by a newer version, want {_FORMAT}")
        return bool(found == 0)

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error), self._timer.armed(_CLOSE_S):
                self._connection.close()
            self._connection = None


@contextmanager
def _ended(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _create(path: Path, mode: int) -> None:
    """Create a file that is missing. One that is there is not even opened: closing it would take away the locks of this process."""
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            os.fchmod(descriptor, mode)
            if os.geteuid() == 0:  # for the agents, when it is root who looks first
                owner = path.parent.stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
        finally:
            os.close(descriptor)


def _is_busy(error: sqlite3.Error) -> bool:
    return error.sqlite_errorcode & 0xFF in _BUSY


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _identity(path: Path) -> Identity | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _discard_stale_log(path: Path, record: int) -> None:
    """Remove a log that belonged to the file that stood here before: replayed into its successor it would mix old and new."""
    found = _pair(path)
    known = os.pread(record, 200, 0).decode(errors="replace").split()
    if len(known) == len(found) and found[1] != "-" and known[1] == found[1] and known[0] != found[0]:
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)


def _remember_log(path: Path, record: int) -> None:
    os.ftruncate(record, 0)
    os.pwrite(record, " ".join(_pair(path)).encode(), 0)


def _pair(path: Path) -> tuple[str, str]:
    """Name the file and its log by their inodes; ``-`` where there is none."""
    main, log = (_identity(Path(f"{path}{suffix}")) for suffix in ("", "-wal"))
    return tuple("-" if one is None else f"{one[0]}:{one[1]}" for one in (main, log))  # type: ignore[return-value]
