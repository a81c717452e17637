"""The session of one member with Consul: the field's keys, the session that lock and member record end with, and what is remembered.

A session that was renewed proves nothing, so each renewal of the lock is also a transaction that finds it unchanged. What is remembered
(which version of the lock stands, what has been published under which session, the picture that the watch keeps) spares requests and makes
the comparisons of the next transaction: when one of them fails, what stands is read again and says why.

The lock keeps the index that created its key, its instance, also when it moves to another session of the same holder.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

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
from hacore_dcs_consul.client import Client, RejectedError, SessionLostError
from hacore_dcs_consul.service import Registrar
from hacore_dcs_consul.session import ServerSession
from hacore_dcs_consul.standing import LEADER, Standing, lock_of
from hacore_dcs_consul.watch import Watch
from hacore_dcs_consul.wire import Kv, Operation, has_deletions

_HALF: Final = 0.5  # of the ttl: a session that was renewed this recently is left alone
_TRIES: Final = 2  # a lock that has only moved to another session is looked at once more


class ConsulDcs:
    """What one agent knows of the store, and its place in it."""

    def __init__(
        self, *, client: Client, session: ServerSession, standing: Standing, watch: Watch, registrar: Registrar, clock: Clock
    ) -> None:
        self._client = client
        self._session = session
        self._standing = standing
        self._watch = watch
        self._picture = watch.picture
        self._registrar = registrar
        self._keys = standing.keys
        self._clock = clock

    def snapshot(self, *, timeout_s: float, max_age_s: float = 0.0) -> Snapshot:
        """Read everything below the prefix, at one moment; or recall it."""
        until = self._until(timeout_s)
        recalled = self._standing.recall(max_age_s) if max_age_s > 0 else None
        return self._led(recalled or self._standing.read(until))

    def acquire(self, request: AcquireRequest, *, timeout_s: float) -> Acquired | Refused:
        """Create the key of the lock under this session. One that may be replaced is removed in the same transaction."""
        until = self._until(timeout_s)
        sent_at = self._session.lead(request.ttl_s, until=until)
        if request.replaces is not None:
            self._standing.find(request.replaces, until)
        lock = self._keys.lock(LEADER, self._standing.member, self._session.number)
        found = self._transact([*self._vacate(request.replaces), *self._keys.puts(request.puts), lock], until)
        if found is None:
            self._standing.read(until)
            return Refused(holder=self._standing.holder)
        leader = replace(found[LEADER], value=self._standing.member)  # values are not repeated to whoever writes them
        self._standing.leader = leader
        return Acquired(lock=lock_of(leader), sent_at=sent_at)

    def renew(self, request: RenewRequest, *, timeout_s: float) -> Renewed | Refused:
        """Renew the session; then, in one transaction, find the lock unchanged, write, and read everything.

        What the token may not read is left out of a transaction without a word: where less is shown than before, a reading says why.
        """
        until = self._until(timeout_s)
        sent_at = self._session.lead(request.ttl_s, until=until)
        found = self._under(request.lock, lambda held: [*self._keys.puts(request.puts), *self._moves(held), self._keys.tree()], until)
        if isinstance(found, Refused):
            return found
        removed = [put.name for put in request.puts if put.value is None]
        if self._watch.is_filtered or self._standing.is_less(found, removed):
            snapshot = self._led(self._standing.read(until))
            return Renewed(sent_at=sent_at, snapshot=snapshot) if snapshot.lock == request.lock else Refused(holder=self._standing.holder)
        return Renewed(sent_at=sent_at, snapshot=self._led(self._standing.picture(sent_at, found)))

    def release(self, request: ReleaseRequest, *, timeout_s: float) -> Written | Refused:
        """Write and delete the lock in one transaction."""
        gone = self._keys.delete(LEADER)
        found = self._under(request.lock, lambda _: [*self._keys.puts(request.puts), gone], self._until(timeout_s))
        if isinstance(found, Refused):
            return found
        self._standing.leader = None
        return _written(request.puts, found)

    def write(self, request: WriteRequest, *, timeout_s: float) -> Written | Refused:
        """Write records by comparison."""
        until = self._until(timeout_s)
        operations = self._keys.puts(request.puts)
        if request.lock is not None:
            found = self._under(request.lock, lambda _: operations, until)
            return found if isinstance(found, Refused) else _written(request.puts, found)
        written = self._transact(operations, until)
        if written is None:
            self._standing.read(until)
            return Refused(holder=self._standing.holder)
        return _written(request.puts, written)

    def publish(self, value: str, *, ttl_s: float, timeout_s: float) -> None:
        """Put this member's record where it differs; renew the session where nothing else has just done so."""
        until = self._until(timeout_s)
        self._registrar.want(value, ttl_s=ttl_s)
        known = self._standing.published
        if self._standing.leader is not None:
            self._session.leave_idle(self._standing.leader.session, ttl_s)
        if self._session.age_s() > ttl_s * _HALF or not self._session.lasts(ttl_s) or known is None:
            self._session.keep(ttl_s, until=until)
        name, number = self._standing.own_record, self._session.number
        is_ours = known is not None and known.session == number
        if known is not None and is_ours and known.value == value:
            return
        self._standing.published = None
        freed = [] if is_ours else [self._keys.delete(name)]  # held by an earlier session of ours
        operations = [*freed, self._keys.lock(name, value, number)]
        found = self._transact(operations, until, repeatable=True)  # by its owner alone, and looked at in each snapshot
        if found is None:
            raise DcsUnavailableError("consul: the member record is held by another session")
        self._standing.published = replace(found[name], value=value)

    def withdraw(self, *, timeout_s: float) -> None:
        """Delete this member's record."""
        self._standing.published = None
        self._registrar.withdraw()
        self._transact([self._keys.delete(self._standing.own_record)], self._until(timeout_s), repeatable=True)

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` within milliseconds of a change, from a thread of its own."""
        self._watch.start(wake)

    def close(self) -> None:
        """End threads and connections. The session, and a lock that ends with it, stays until it expires."""
        self._registrar.close()
        self._watch.close()
        self._client.close()

    def _under(self, lock: Lock, operations: Callable[[Kv], list[Operation]], until: Instant) -> dict[str, Kv] | Refused:
        """Carry operations out while exactly this lock stands."""
        for _ in range(_TRIES):
            held = self._standing.find(lock, until)
            if held is None:
                break
            found = self._transact([self._keys.unchanged(LEADER, held.version), *operations(held)], until)
            if found is not None:
                return found
            self._standing.read(until)
            if self._standing.leader == held:  # it was not the lock that had changed
                break
        return Refused(holder=self._standing.holder)

    def _vacate(self, replaces: Lock | None) -> list[Operation]:
        """Return what leaves the lock free, or fails."""
        found = self._standing.leader
        if found is not None and (not found.session or lock_of(found) == replaces):
            return [self._keys.unchanged(LEADER, found.version), self._keys.delete(LEADER)]
        return [self._keys.absent(LEADER)]

    def _moves(self, held: Kv) -> list[Operation]:
        """Return what brings lock and member record from an earlier session to the one that is renewed."""
        number, moves = self._session.number, []
        if held.session != number:
            moves += [self._keys.unlock(held), self._keys.lock(LEADER, held.value, number)]
        own = self._standing.published
        if own is not None and own.session != number:
            moves += [self._keys.delete(own.name), self._keys.lock(own.name, own.value, number)]
        return moves

    def _transact(self, operations: list[Operation], until: Instant, *, repeatable: bool = False) -> dict[str, Kv] | None:
        """Return what stands now under the names concerned; ``None``: a comparison failed and nothing was done."""
        try:
            found = self._client.transact(operations, until=until, repeatable=repeatable)
        except SessionLostError:
            self._session.forget()  # nothing was written; the next call creates another
            raise
        except RejectedError:
            raise
        except DcsUnavailableError:
            self._picture.wrote(math.inf)
            raise
        if found is None:
            return None
        kvs = {kv.name: kv for kv in self._keys.kvs(found)}  # the last operation of a name counts
        self._picture.wrote(math.inf if has_deletions(operations) else max((kv.version for kv in kvs.values()), default=0))
        return kvs

    def _led(self, snapshot: Snapshot) -> Snapshot:
        self._watch.leading = snapshot.lock is not None and snapshot.lock.holder == self._standing.member
        return snapshot

    def _until(self, timeout_s: float) -> Instant:
        return self._clock.now() + timeout_s


def _written(puts: Iterable[Put], found: dict[str, Kv]) -> Written:
    return Written(versions=tuple(0 if put.value is None else found[put.name].version for put in puts))
