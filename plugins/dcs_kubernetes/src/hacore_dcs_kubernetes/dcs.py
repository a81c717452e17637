"""The session of one member with Kubernetes: the lock and the own record in one object, the other records in theirs, members on pods.

There is no transaction over objects. What must change together stands in the leader's object, where one comparison of its resource version
covers all of it. What the watches keep spares readings: objects and pods each have a picture, and each is recalled only where something of
its own kind proves it.
"""

import contextlib
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hacore.errors import ConfigError, DcsUnavailableError
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
from hacore_dcs_kubernetes import writing
from hacore_dcs_kubernetes.client import Json
from hacore_dcs_kubernetes.heard import HEARD, text_of
from hacore_dcs_kubernetes.lock import LockRecord
from hacore_dcs_kubernetes.members import Members
from hacore_dcs_kubernetes.objects import ConflictError
from hacore_dcs_kubernetes.records import LEADER, Found
from hacore_dcs_kubernetes.routing import Routing
from hacore_dcs_kubernetes.shelf import TOLD_S, Shelf
from hacore_dcs_kubernetes.watch import Watch

_GIVE_BACK_S: Final = 0.1  # at least, for what may otherwise keep others waiting for its ttl
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a session is made of."""

    shelf: Shelf
    members: Members
    routing: Routing
    watch: Watch
    member: str
    clock: Clock
    see_alone: Callable[[Instant], None]  # raises where a lock of another kind may live
    close: Callable[[], None]


class KubernetesDcs:
    """What one agent knows of the store, and its place in it."""

    def __init__(self, parts: Parts) -> None:
        self._shelf = parts.shelf
        self._members = parts.members
        self._routing = parts.routing
        self._watch = parts.watch
        self._member = parts.member
        self._clock = parts.clock
        self._see_alone = parts.see_alone
        self._close = parts.close
        self._unproven: Lock | None = None  # taken, while another kind may have been, too
        self._claimed: str | None = None  # instance of the lock under which all objects carry our stamp

    def snapshot(self, *, timeout_s: float, max_age_s: float = 0.0) -> Snapshot:
        """Read all objects at one revision, then all pods; or recall either. Where the own beat is due, it is the cheaper proof."""
        now = self._clock.now()
        until, since = now + timeout_s, now - max_age_s if max_age_s > 0 else math.inf
        objects_at = self._shelf.see(since, until, self._went_back)
        members_at = self._members.recall(since, wait_s=0.0)
        if members_at is None and max_age_s > 0 and not self._watch.leading and self._members.beat_if_due(self._shelf.heard(), until):
            members_at = self._members.recall(since, wait_s=TOLD_S)
        if members_at is None:
            members_at = self._members.read(until)
        return self._shown(min(objects_at, members_at))

    def acquire(self, request: AcquireRequest, *, timeout_s: float) -> Acquired | Refused:
        """Write lock and own record into the leader's object, if nobody holds it; other records before, as they have no part in that."""
        until = self._clock.now() + timeout_s
        inside, outside = writing.parted(request.puts)
        written: Mapping[str, Found] = {}
        while True:
            route = self._routing.before(None, until)
            found = self._shelf.read(LEADER, until)
            held = self._shelf.lock(found)
            if (held is not None and held != request.replaces) or not writing.compares(found, inside):
                if written:
                    raise DcsUnavailableError("kubernetes: the lock was not taken, other records of the request are written")
                return writing.refused(held)
            if outside and not written:
                answer = writing.write(self._shelf, outside, until, lock=None)
                if isinstance(answer, Refused):
                    return writing.refused(held)
                written = answer
            sent_at = self._clock.now()
            record = self._shelf.objects.lock(found).taken_by(self._member, self._clock.wall(), request.ttl_s)
            try:
                lock = self._hold(found, record, inside, sent_at, until)
            except ConflictError:
                continue
            self._prove_alone(lock, until)
            self._claim(lock, route, until)
            return Acquired(lock=lock, sent_at=sent_at)

    def renew(self, request: RenewRequest, *, timeout_s: float) -> Renewed | Refused:
        """Write the lock anew, and the records beside it, if it still stands; then recall everything as of then, or read it.

        That write proves what the watch keeps of the objects as soon as it has told of it. Members may be half of a ttl older.
        """
        until = self._clock.now() + timeout_s
        inside, outside = writing.parted(request.puts)
        if self._unproven == request.lock:
            self._prove_alone(request.lock, until)
        route = self._routing.before(request.lock, until)
        answer = self._renewed(request, inside, until)
        if isinstance(answer, Refused):
            return answer
        if outside and isinstance(writing.write(self._shelf, outside, until, lock=request.lock), Refused):
            raise DcsUnavailableError("kubernetes: the lock was renewed, another record has changed")
        if route is not None or self._claimed != request.lock.instance:
            self._claim(request.lock, route, until)
        self._shelf.see(answer, until, self._went_back)
        if self._members.recall(answer - request.ttl_s / 2, wait_s=0.0) is None:
            self._members.read(until)
        snapshot = self._shown(answer)
        return Renewed(sent_at=answer, snapshot=snapshot) if snapshot.lock == request.lock else writing.refused(snapshot.lock)

    def release(self, request: ReleaseRequest, *, timeout_s: float) -> Written | Refused:
        """Write the records and that nobody leads, in one write of the leader's object."""
        until = self._clock.now() + timeout_s
        inside, outside = writing.parted(request.puts)
        written: Mapping[str, Found] = {}
        while True:
            found = self._shelf.read(LEADER, until)
            held = self._shelf.lock(found)
            if held != request.lock or not writing.compares(found, inside):
                return writing.refused(held)
            if outside and not written:
                answer = writing.write(self._shelf, outside, until, lock=request.lock)
                if isinstance(answer, Refused):
                    return answer
                written = answer
            self._routing.leave(request.lock, until)
            record = self._shelf.objects.lock(found).given_back(self._clock.wall())
            fields = self._routing.fields(leads=False, uid=None)
            try:
                leader = self._shelf.change(found, self._shelf.objects.with_lock(record, writing.changes(inside), fields), until)
            except ConflictError:
                continue
            self._watch.note(self._shelf.lock())
            return writing.written(request.puts, {**written, LEADER: leader})

    def write(self, request: WriteRequest, *, timeout_s: float) -> Written | Refused:
        """Write records by comparison: those of one object in one write."""
        answer = writing.write(self._shelf, request.puts, self._clock.now() + timeout_s, lock=request.lock)
        return answer if isinstance(answer, Refused) else writing.written(request.puts, answer)

    def publish(self, value: str, *, ttl_s: float, timeout_s: float) -> None:
        """Write this member's record and labels onto its pod where they differ, and keep the record alive."""
        leads, until = self._watch.leading, self._clock.now() + timeout_s
        self._watch.expect(ttl_s)
        self._members.publish(value, leads=leads, ttl_s=ttl_s, heard=None if leads else self._shelf.heard(), until=until)

    def withdraw(self, *, timeout_s: float) -> None:
        """Remove this member's record."""
        self._members.withdraw(self._clock.now() + timeout_s)

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` within milliseconds of a change, from a thread of its own."""
        self._watch.start(wake)

    def close(self) -> None:
        """End threads and connections. A lock that is held stays until it has not been renewed for its time."""
        self._watch.close()
        self._close()

    def _renewed(self, request: RenewRequest, puts: tuple[Put, ...], until: Instant) -> Instant | Refused:
        """Renew the lock by the object as it was known last, read anew where it has changed; when that was sent."""
        found, is_fresh = self._shelf.known(LEADER), False
        while True:
            if found is None:
                found, is_fresh = self._shelf.read(LEADER, until), True
            held = self._shelf.lock(found)
            if held != request.lock or not writing.compares(found, puts):
                if is_fresh:
                    return writing.refused(held)
                found = None
                continue
            sent_at = self._clock.now()
            record = self._shelf.objects.lock(found).renewed_at(self._clock.wall(), request.ttl_s)
            try:
                self._hold(found, record, puts, sent_at, until)
            except ConflictError:
                found = None
                continue
            return sent_at

    def _hold(self, found: Found, record: LockRecord, puts: tuple[Put, ...], sent_at: Instant, until: Instant) -> Lock:
        """Write the lock, and since when the others' beats are known; its time counts here from before that."""
        fields, heard = self._routing.fields(leads=True, uid=self._members.uid), self._members.heard()
        annotations = {**writing.changes(puts), HEARD: text_of(heard) if heard else None}
        change = self._shelf.objects.with_lock(record, annotations, fields)
        leader = self._shelf.change(found, change, until, sent_at=sent_at)
        self._watch.note(self._shelf.lock())
        lock = self._shelf.objects.lock(leader).lock
        if lock is None or lock.holder != self._member:
            raise ConflictError("kubernetes: the lock has gone to another since")
        return lock

    def _prove_alone(self, lock: Lock, until: Instant) -> None:
        """See that nobody has taken a lock of another kind at the same time: of two who look after they wrote, one sees the other."""
        self._unproven = lock
        try:
            self._see_alone(until)
        except (ConfigError, DcsUnavailableError) as error:
            with contextlib.suppress(DcsUnavailableError):
                self.release(ReleaseRequest(lock=lock), timeout_s=max(_GIVE_BACK_S, until - self._clock.now()))
            raise DcsUnavailableError(f"kubernetes: the lock was taken and given back: {error}") from error
        self._unproven = None

    def _claim(self, lock: Lock, route: Json | None, until: Instant) -> None:
        """Stamp every object that this leader will write, and lead the clients here. The lock is held whether or not this ends in time."""
        try:
            self._shelf.read_all(until, self._went_back)
            writing.claim(self._shelf, lock, until)
            self._routing.prepare(until)
            self._routing.after(route, lock, uid=self._members.uid, until=until)
        except DcsUnavailableError as error:
            self._claimed = None
            self._routing.forget()
            logger.warning("not every object is claimed for the new leader yet", extra={"error": str(error)})
        else:
            self._claimed = lock.instance

    def _shown(self, sent_at: Instant) -> Snapshot:
        lock = self._shelf.lock()
        self._watch.note(lock)
        members = self._members.records(lock.holder if lock else None, self._shelf.lock_seen_at())
        return Snapshot(sent_at=sent_at, revision=self._shelf.revision, lock=lock, records=self._shelf.records(), members=members)

    def _went_back(self) -> None:
        self._members.forget()
        self._routing.forget()
        self._claimed = None
