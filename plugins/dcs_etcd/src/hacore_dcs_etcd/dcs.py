"""The session of one member with etcd: the field's keys, the lease that lock and member record hang on, and what the session remembers.

A lease that is kept alive proves nothing, so each renewal is also a transaction that finds the lock unchanged. What the session remembers
(which keys hang on its lease, what it has published, since when it has known a version, the picture that its watch keeps) only spares
requests; it is forgotten as soon as an answer contradicts it.
"""

import logging
import math
from collections.abc import Callable, Iterable
from typing import Any, Final

from hacore.errors import DcsUnavailableError
from hacore.interfaces import (
    Acquired,
    AcquireRequest,
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
from hacore_dcs_etcd.client import Client, LeaseLostError, RejectedError
from hacore_dcs_etcd.lease import ServerLease
from hacore_dcs_etcd.picture import Kept
from hacore_dcs_etcd.watch import Watch
from hacore_dcs_etcd.wire import Json, Keys, Kv, ranges, revision_of

LEADER: Final = "leader"
MEMBERS: Final = "members/"
logger = logging.getLogger(__name__)


class EtcdDcs:
    """What one agent knows of the store, and its place in it."""

    def __init__(self, *, client: Client, watch: Watch, keys: Keys, member: str, clock: Clock, sightings: Sightings) -> None:
        self._client = client
        self._watch = watch
        self._keys = keys
        self._member = member
        self._clock = clock
        self._sightings = sightings
        self._picture = watch.picture
        self._lease = ServerLease(client, clock, watch.picture)
        self._leader_on: int | None = None  # lease that the lock hangs on, as far as known
        self._published: tuple[str, int] | None = None  # value of the member record, and the lease that it hangs on
        self._store: tuple[str, int] = ("", 0)  # identity of the cluster, newest revision seen

    def snapshot(self, *, timeout_s: float, max_age_s: float = 0.0) -> Snapshot:
        """Read everything below the prefix, at one revision; or recall it."""
        sent_at = self._clock.now()
        until = sent_at + timeout_s
        kept = self._recall(max_age_s, until) if max_age_s > 0 else None
        if kept is not None:
            return self._shown(kept.sent_at, kept.revision, kept.kvs)
        sent_at = self._clock.now()
        answer = self._client.call("kv/range", self._keys.all(), until=until, repeatable=True)
        self._note(answer)
        kvs = self._keys.kvs(answer)
        self._picture.read(sent_at, revision_of(answer), kvs)
        return self._shown(sent_at, revision_of(answer), kvs)

    def acquire(self, request: AcquireRequest, *, timeout_s: float) -> Acquired | Refused:
        """Create the lock under this session's lease. One that may be replaced is removed first: a lock has its own create revision."""
        until = self._clock.now() + timeout_s
        sent_at = self._lease.lead(request.ttl_s, until=until)
        if request.replaces is not None:
            removal = [*self._keys.held(LEADER, request.replaces), *self._keys.compares(request.puts)]
            answer = self._transact(removal, [self._keys.delete(LEADER)], until)
            refusal = self._keys.refusal(answer)
            if not answer.get("succeeded") and refusal.holder is not None:
                return refusal
        comparison = [self._keys.absent(LEADER), *self._keys.compares(request.puts)]
        lock_put = self._keys.put(LEADER, self._member, self._lease.number)
        answer = self._transact(comparison, [*self._keys.writes(request.puts), lock_put], until)
        if not answer.get("succeeded"):
            return self._keys.refusal(answer)
        self._leader_on = self._lease.number
        return Acquired(lock=Lock(holder=self._member, instance=str(revision_of(answer))), sent_at=sent_at)

    def renew(self, request: RenewRequest, *, timeout_s: float) -> Renewed | Refused:
        """Keep the lease alive; then, in one transaction, find the lock unchanged, write, and read everything."""
        until = self._clock.now() + timeout_s
        sent_at = self._lease.lead(request.ttl_s, until=until)
        moved = []
        if self._leader_on != self._lease.number:  # held through an earlier lease: the lock keeps its create revision when it moves
            moved.append(self._keys.put(LEADER, self._member, self._lease.number))
        if self._published is not None and self._published[1] != self._lease.number:
            moved.append(self._keys.put(self._own_record, self._published[0], self._lease.number))
        comparison = [*self._keys.held(LEADER, request.lock), *self._keys.compares(request.puts)]
        answer = self._transact(comparison, [*self._keys.writes(request.puts), *moved, self._keys.read()], until)
        if not answer.get("succeeded"):
            self._leader_on = None
            return self._keys.refusal(answer)
        snapshot = self._shown(sent_at, revision_of(answer), self._keys.kvs(ranges(answer)[-1]))
        if self._leader_on != self._lease.number:  # somebody else moved it: known now, and put right by the next renewal
            raise DcsUnavailableError("etcd: the lock hangs on a lease that this session does not keep alive")
        return Renewed(sent_at=sent_at, snapshot=snapshot)

    def release(self, request: ReleaseRequest, *, timeout_s: float) -> Written | Refused:
        """Write and delete the lock in one transaction."""
        comparison = [*self._keys.held(LEADER, request.lock), *self._keys.compares(request.puts)]
        operations = [*self._keys.writes(request.puts), self._keys.delete(LEADER)]
        answer = self._transact(comparison, operations, self._clock.now() + timeout_s)
        self._leader_on = None
        return self._keys.written(answer, request.puts)

    def write(self, request: WriteRequest, *, timeout_s: float) -> Written | Refused:
        """Write records by comparison."""
        comparison = self._keys.compares(request.puts)
        if request.lock is not None:
            comparison += self._keys.held(LEADER, request.lock)
        answer = self._transact(comparison, self._keys.writes(request.puts), self._clock.now() + timeout_s)
        return self._keys.written(answer, request.puts)

    def publish(self, value: str, *, ttl_s: float, timeout_s: float) -> None:
        """Put this member's record where it differs; keep the lease alive where nothing else has just done so."""
        until = self._clock.now() + timeout_s
        self._watch.expect(ttl_s)
        self._lease.leave_idle(self._leader_on)
        if self._lease.is_due() or not self._lease.lasts(ttl_s) or self._published is None:
            self._lease.keep(ttl_s, until=until)
        if self._published == (value, self._lease.number):
            return
        self._published = None
        put = self._keys.put(self._own_record, value, self._lease.number)["request_put"]
        self._send("kv/put", put, until, repeatable=True)  # by its owner alone, and looked at in each snapshot
        self._published = (value, self._lease.number)

    def withdraw(self, *, timeout_s: float) -> None:
        """Delete this member's record."""
        self._published = None
        operation = self._keys.delete(self._own_record)["request_delete_range"]
        self._send("kv/deleterange", operation, self._clock.now() + timeout_s, repeatable=True)

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` within milliseconds of a change, from a thread of its own."""
        self._watch.start(wake)

    def close(self) -> None:
        """End thread and connections. The lease, and a lock that hangs on it, stays until it expires."""
        self._watch.close()
        self._client.close()

    @property
    def _own_record(self) -> str:
        return MEMBERS + self._member

    def _transact(self, comparison: list[dict[str, Any]], operations: list[dict[str, Any]], until: Instant) -> Json:
        body = {"compare": comparison, "success": operations, "failure": [self._keys.one(LEADER)]}
        return self._send("kv/txn", body, until, repeatable=False)

    def _send(self, path: str, body: object, until: Instant, *, repeatable: bool) -> Json:
        sent_at = self._clock.now()
        try:
            answer = self._client.call(path, body, until=until, repeatable=repeatable)
        except RejectedError as error:  # nothing was written
            if isinstance(error, LeaseLostError):
                self._lease.forget()  # the next call asks for another
            raise
        except DcsUnavailableError:
            self._picture.wrote(sent_at, math.inf)
            raise
        self._note(answer)
        if path != "kv/txn" or answer.get("succeeded"):
            self._picture.wrote(sent_at, revision_of(answer))
        return answer

    def _recall(self, max_age_s: float, until: Instant) -> Kept | None:
        """Return the picture of the watch, if it will do; keeping the lease alive, where it is due, says so, too."""
        kept = self._picture.recall(self._clock.now(), max_age_s)
        self._lease.leave_idle(self._leader_on)
        if kept is None and self._published is not None and self._lease.number and self._lease.is_due():
            self._lease.keep(self._lease.ttl_s, until=until)
            kept = self._picture.recall(self._clock.now(), max_age_s)
        return kept

    def _note(self, answer: Json) -> None:
        """Forget everything when the store is another one or has gone back; every answer here shows all that was answered before it."""
        identity, revision = str(answer.get("header", {}).get("cluster_id")), revision_of(answer)
        if self._store[0] and (self._store[0] != identity or revision < self._store[1]):
            logger.warning("the store has gone back or is another one", extra={"revision": revision, "seen": self._store[1]})
            self._leader_on = self._published = None
            self._sightings.forget()
        self._store = (identity, revision)

    def _shown(self, sent_at: Instant, revision: int, kvs: Iterable[Kv]) -> Snapshot:
        lock, own, records, members = None, None, {}, {}
        self._leader_on = None
        for kv in kvs:
            if kv.name == LEADER:
                lock = Lock(holder=kv.value, instance=str(kv.created))
                self._leader_on = kv.lease if kv.value == self._member else None
            elif kv.name.startswith(MEMBERS):
                members[kv.name.removeprefix(MEMBERS)] = self._sightings.read(kv.name, kv.value, kv.version)
                own = (kv.value, kv.lease) if kv.name == self._own_record else own
            else:
                records[kv.name] = self._sightings.read(kv.name, kv.value, kv.version)
        self._published, self._watch.leading = own, self._leader_on is not None
        return Snapshot(sent_at=sent_at, revision=revision, lock=lock, records=records, members=members)
