"""The session of one member with the table: each call is one statement, or for a renewal two."""

from collections.abc import Callable, Sequence
from typing import Final

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
from hacore_dcs_pgtable.tables import Action, Answer, Table
from hacore_dcs_pgtable.watch import Watch

MEMBERS: Final = "members/"


class TableDcs:
    """What one agent knows of the store, and its place in it."""

    def __init__(self, *, table: Table, watch: Watch, sightings: Sightings, clock: Clock) -> None:
        self._table = table
        self._watch = watch
        self._sightings = sightings
        self._clock = clock
        self._own_record = MEMBERS + table.member

    def snapshot(self, *, timeout_s: float, max_age_s: float = 0.0) -> Snapshot:  # noqa: ARG002 - it always reads
        """Read all records of the cluster in one statement."""
        sent_at = self._clock.now()
        return self._picture(sent_at, until=sent_at + timeout_s)

    def acquire(self, request: AcquireRequest, *, timeout_s: float) -> Acquired | Refused:
        """Take the lock if nobody holds it, or ``request.replaces`` still does."""
        sent_at = self._clock.now()
        until = sent_at + timeout_s
        answer = self._table.change("acquire", request.puts, until=until, lock=request.replaces, ttl_s=request.ttl_s)
        if not answer.done or answer.lock is None:
            return _refused(answer)
        return Acquired(lock=answer.lock, sent_at=sent_at)

    def renew(self, request: RenewRequest, *, timeout_s: float) -> Renewed | Refused:
        """Prolong the lock and this member's record; then read, when no transaction waits for us to take the answer."""
        sent_at = self._clock.now()
        until = sent_at + timeout_s
        answer = self._table.change("renew", request.puts, until=until, lock=request.lock, ttl_s=request.ttl_s)
        if not answer.done:
            return _refused(answer)
        return Renewed(sent_at=sent_at, snapshot=self._picture(sent_at, until=until))

    def release(self, request: ReleaseRequest, *, timeout_s: float) -> Written | Refused:
        """Write and give the lock back in one transaction."""
        return self._write("release", request.puts, request.lock, timeout_s)

    def write(self, request: WriteRequest, *, timeout_s: float) -> Written | Refused:
        """Write records by comparison."""
        return self._write("write", request.puts, request.lock, timeout_s)

    def publish(self, value: str, *, ttl_s: float, timeout_s: float) -> None:
        """Write this member's record, or move its end when it says the same."""
        own = Put(name=self._own_record, value=value)
        self._table.change("publish", (own,), until=self._clock.now() + timeout_s, ttl_s=ttl_s)

    def withdraw(self, *, timeout_s: float) -> None:
        """Remove this member's record."""
        self._write("write", (Put(name=self._own_record, value=None),), None, timeout_s)

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` soon after a change, from a thread of its own."""
        self._watch.start(wake)

    def close(self) -> None:
        """End thread and connections. A lock that is held stays until it expires."""
        self._watch.close()
        self._table.connection.close()

    def _write(self, action: Action, puts: Sequence[Put], lock: Lock | None, timeout_s: float) -> Written | Refused:
        answer = self._table.change(action, puts, until=self._clock.now() + timeout_s, lock=lock)
        if not answer.done:
            return _refused(answer)
        return Written(versions=tuple(0 if put.value is None else answer.revision for put in puts))

    def _picture(self, sent_at: Instant, *, until: Instant) -> Snapshot:
        seen = self._table.look(until=until)
        found = {name: self._sightings.read(name, value, version) for name, (version, value) in seen.records.items()}
        return Snapshot(
            sent_at=sent_at,
            revision=seen.revision,
            lock=seen.lock,
            records={name: record for name, record in found.items() if not name.startswith(MEMBERS)},
            members={name.removeprefix(MEMBERS): record for name, record in found.items() if name.startswith(MEMBERS)},
        )


def _refused(answer: Answer) -> Refused:
    return Refused(holder=None if answer.lock is None else answer.lock.holder)
