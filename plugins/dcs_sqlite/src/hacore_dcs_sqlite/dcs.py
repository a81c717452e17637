"""The session of one member with the embedded store.

Each request is one short transaction. Lock and members' records end by an instant of the boot-time clock; after a reboot everything
that could end has ended. A disk that stalls holds the call: the core cuts that off, as it does for every plugin.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from hacore.errors import DcsUnavailableError
from hacore.interfaces import (
    Acquired,
    AcquireRequest,
    Put,
    Refused,
    ReleaseRequest,
    Renewed,
    RenewRequest,
    Snapshot,
    WriteRequest,
    Written,
)
from hacore.model.clock import Clock, Instant
from hacore.model.lease import Lock
from hacore.sightings import Sightings
from hacore_dcs_sqlite.file import Kind, StoreFile
from hacore_dcs_sqlite.tables import MEMBERS, SCRIPT, Row, Tables
from hacore_dcs_sqlite.watch import Watch

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_WRITES_PER_CHECKPOINT: Final = 100
_KEPT_RECENTLY: Final = 0.1  # of the ttl: a record that was prolonged this recently is not prolonged again
T = TypeVar("T")


class SqliteDcs:
    """What one agent knows of the store, and its place in it."""

    def __init__(self, *, path: Path, cluster: str, member: str, clock: Clock) -> None:
        self._path = path
        self._cluster = cluster
        self._member = member
        self._clock = clock
        self._boot_id = _BOOT_ID.read_text().strip()
        self._file = StoreFile(path, clock, SCRIPT)
        self._sightings = Sightings(clock)
        self._newest = 0  # revision that was read last
        self._watch: Watch | None = None
        self._writes = 0
        self._member_kept_at: Instant | None = None
        self._published: str | None = None

    def snapshot(self, *, timeout_s: float, max_age_s: float = 0.0) -> Snapshot:  # noqa: ARG002 - reading a file costs nothing
        """Read all records of the cluster in one transaction."""
        sent_at = self._clock.now()
        lock, revision, rows = self._call("read", _everything, timeout_s)
        return self._picture(sent_at, lock, revision, rows)

    def acquire(self, request: AcquireRequest, *, timeout_s: float) -> Acquired | Refused:
        """Take the lock if nobody holds it, or ``request.replaces`` still does."""
        sent_at = self._clock.now()

        def take(tables: Tables) -> Lock | Refused:
            held = tables.lock()
            if (held is not None and held != request.replaces) or not tables.compares(request.puts):
                return _refused(held)
            tables.write(request.puts)
            return tables.take_lock(self._member, tables.now + request.ttl_s)

        taken = self._call("write", take, timeout_s, durable=True)
        return taken if isinstance(taken, Refused) else Acquired(lock=taken, sent_at=sent_at)

    def renew(self, request: RenewRequest, *, timeout_s: float) -> Renewed | Refused:
        """Prolong the lock and this member's record; read the store in the same transaction."""
        sent_at = self._clock.now()

        def prolong(tables: Tables) -> tuple[Lock | None, int, list[Row]] | Refused:
            held = tables.lock()
            if held != request.lock or not tables.compares(request.puts):
                return _refused(held)
            if request.puts:
                tables.write(request.puts)
            tables.prolong_lock(tables.now + request.ttl_s)
            tables.prolong_record(self._own_record, tables.now + request.ttl_s)
            return _everything(tables)

        seen = self._call("write", prolong, timeout_s, durable=bool(request.puts))
        if isinstance(seen, Refused):
            return seen
        self._member_kept_at = sent_at
        return Renewed(sent_at=sent_at, snapshot=self._picture(sent_at, *seen))

    def release(self, request: ReleaseRequest, *, timeout_s: float) -> Written | Refused:
        """Write and remove the lock in one transaction."""

        def give_back(tables: Tables) -> Written | Refused:
            held = tables.lock()
            if held != request.lock or not tables.compares(request.puts):
                return _refused(held)
            versions = tables.write(request.puts)
            tables.remove_lock()
            return Written(versions=versions)

        return self._call("write", give_back, timeout_s, durable=True)

    def write(self, request: WriteRequest, *, timeout_s: float) -> Written | Refused:
        """Write records by comparison."""

        def compare_and_set(tables: Tables) -> Written | Refused:
            held = tables.lock()
            if (request.lock is not None and held != request.lock) or not tables.compares(request.puts):
                return _refused(held)
            return Written(versions=tables.write(request.puts))

        return self._call("write", compare_and_set, timeout_s, durable=True)

    def publish(self, value: str, *, ttl_s: float, timeout_s: float) -> None:
        """Write this member's record where it differs; otherwise move its end."""
        now = self._clock.now()
        recently = self._member_kept_at is not None and now - self._member_kept_at < ttl_s * _KEPT_RECENTLY
        if recently and value == self._published:
            return

        def keep(tables: Tables) -> None:
            if tables.value(self._own_record) == value:
                tables.prolong_record(self._own_record, tables.now + ttl_s)
            else:
                tables.write((Put(name=self._own_record, value=value),), ends_at=tables.now + ttl_s)

        self._call("write", keep, timeout_s)
        self._published, self._member_kept_at = value, now

    def withdraw(self, *, timeout_s: float) -> None:
        """Remove this member's record."""
        self._published = None
        self._call("write", lambda tables: tables.write((Put(name=self._own_record, value=None),)), timeout_s)

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` within milliseconds of a change, from a thread of its own."""
        file = StoreFile(self._path, self._clock, SCRIPT)
        try:
            self._watch = Watch(file, self._path, self._clock, self._sightings, self._tables, self._member)
        except OSError as error:
            file.close()
            raise DcsUnavailableError(f"{self._path}: cannot be watched: {error}") from error
        self._watch.start(wake)

    def close(self) -> None:
        """End threads and connections. A lock that is held stays until it expires."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self._file.close()

    @property
    def _own_record(self) -> str:
        return MEMBERS + self._member

    def _tables(self, connection: sqlite3.Connection) -> Tables:
        return Tables(connection=connection, cluster=self._cluster, boot_id=self._boot_id, now=self._clock.now())

    def _call(self, kind: Kind, change: Callable[[Tables], T], timeout_s: float, *, durable: bool = False) -> T:
        """Run one transaction; where it must outlive a power failure, return only when it is on the disk."""
        with self._file.transaction(kind, until=self._clock.now() + timeout_s) as connection:
            result = change(self._tables(connection))
        if kind == "write" and not isinstance(result, Refused):
            if durable:
                self._file.flush()
            self._writes += 1
            if self._writes % _WRITES_PER_CHECKPOINT == 0:
                self._file.checkpoint()
        return result

    def _picture(self, sent_at: Instant, lock: Lock | None, revision: int, rows: list[Row]) -> Snapshot:
        if revision < self._newest:  # the store has gone back
            self._sightings.forget()
        self._newest = revision
        found = {row.name: self._sightings.read(row.name, row.value, row.version) for row in rows}
        if self._own_record not in found or found[self._own_record].value != self._published:
            self._published = None
        members = {name.removeprefix(MEMBERS): record for name, record in found.items() if name.startswith(MEMBERS)}
        records = {name: record for name, record in found.items() if not name.startswith(MEMBERS)}
        return Snapshot(sent_at=sent_at, revision=revision, lock=lock, records=records, members=members)


def _everything(tables: Tables) -> tuple[Lock | None, int, list[Row]]:
    return tables.lock(), tables.revision(), tables.rows()


def _refused(held: Lock | None) -> Refused:
    return Refused(holder=None if held is None else held.holder)
