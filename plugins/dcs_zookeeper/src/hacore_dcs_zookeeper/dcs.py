"""The session of one member with ZooKeeper: the field's nodes, the lock and the member record that end with the session.

How something is read and written stands in :mod:`hacore_dcs_zookeeper.transactions`; here is what.
"""

import uuid
from collections.abc import Callable, Sequence
from typing import Final

from kazoo.protocol.serialization import Delete
from kazoo.protocol.states import ZnodeStat

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
from hacore_dcs_zookeeper.change import Operation
from hacore_dcs_zookeeper.connection import Connection
from hacore_dcs_zookeeper.link import Link
from hacore_dcs_zookeeper.sightings import Sightings
from hacore_dcs_zookeeper.transactions import FRESH_S, Plan, Transactions
from hacore_dcs_zookeeper.tree import LEADER, MEMBERS, Keys, Mark, Tree, text
from hacore_dcs_zookeeper.watch import Watch

_KEPT_RECENTLY: Final = 0.1  # of the ttl: a session that was kept alive this recently is left alone


class ZookeeperDcs:
    """What one agent knows of the store, and its place in it."""

    def __init__(  # noqa: PLR0913 - the parts of one session
        self, *, link: Link, transactions: Transactions, watch: Watch, keys: Keys, member: str, clock: Clock, sightings: Sightings
    ) -> None:
        self._link = link
        self._transactions = transactions
        self._watch = watch
        self._keys = keys
        self._member = member
        self._clock = clock
        self._sightings = sightings
        self._published: tuple[str, int] | None = None  # value of the member record, and the session that it hangs on
        self._newest = 0

    def snapshot(self, *, timeout_s: float, max_age_s: float = 0.0) -> Snapshot:  # noqa: ARG002 - each reading is a new one
        """Read everything, at one moment after the leader of the servers has been heard."""
        sent_at = self._clock.now()
        return self._picture(sent_at, self._transactions.read(sent_at + timeout_s))

    def acquire(self, request: AcquireRequest, *, timeout_s: float) -> Acquired | Refused:
        """Create the lock under this session, in the place of the one that may be replaced."""
        sent_at = self._clock.now()
        instance = uuid.uuid4().hex

        def plan(tree: Tree, connection: Connection) -> Sequence[Operation] | None:
            change = self._transactions.change(tree)
            if tree.lock not in (None, request.replaces) or not change.put(request.puts):
                return None
            change.take_lock(self._member, Mark(connection.session.number, instance))
            return change.operations()

        self._link.engage(request.ttl_s)
        if self._transactions.send(plan, sent_at + timeout_s) is None:
            return self._refusal()
        self._link.kept(sent_at)
        return Acquired(lock=Lock(holder=self._member, instance=instance), sent_at=sent_at - self._link.missing_s(request.ttl_s))

    def renew(self, request: RenewRequest, *, timeout_s: float) -> Renewed | Refused:
        """Find the lock unchanged, write, and read everything. A lock that hangs on another session is moved to this one."""
        sent_at = self._clock.now()

        def plan(tree: Tree, connection: Connection) -> Sequence[Operation] | None:
            change = self._transactions.change(tree)
            if tree.lock != request.lock or not change.put(request.puts):
                return None
            if tree.nodes[LEADER].stat.ephemeralOwner == connection.session.number:
                change.check_lock()
            elif request.lock.holder != self._member:
                return None
            else:
                change.take_lock(self._member, Mark(connection.session.number, request.lock.instance))
            return change.operations()

        self._link.engage(request.ttl_s)
        if self._transactions.send(plan, sent_at + timeout_s, heard_within_s=0, reads=True) is None:
            return self._refusal()
        self._link.kept(sent_at)
        tree = self._transactions.tree or self._transactions.read(sent_at + timeout_s)
        sent_at -= self._link.missing_s(request.ttl_s)
        return Renewed(sent_at=sent_at, snapshot=self._picture(sent_at, tree)) if tree.lock == request.lock else self._refusal()

    def release(self, request: ReleaseRequest, *, timeout_s: float) -> Written | Refused:
        """Write and delete the lock in one transaction."""

        def plan(tree: Tree, _: Connection) -> Sequence[Operation] | None:
            change = self._transactions.change(tree)
            if tree.lock != request.lock or not change.put(request.puts):
                return None
            change.remove_lock()
            return change.operations()

        return self._written(request, plan, timeout_s)

    def write(self, request: WriteRequest, *, timeout_s: float) -> Written | Refused:
        """Write records by comparison."""

        def plan(tree: Tree, _: Connection) -> Sequence[Operation] | None:
            change = self._transactions.change(tree)
            if request.lock not in (None, tree.lock) or not change.put(request.puts):
                return None
            if request.lock is not None:
                change.check_lock()
            return change.operations()

        return self._written(request, plan, timeout_s)

    def publish(self, value: str, *, ttl_s: float, timeout_s: float) -> None:
        """Write this member's record where it differs; keep the session alive where nothing else has just done so.

        A lock on this session that is not renewed must not live by that: then the record moves to another session.
        """
        sent_at = self._clock.now()
        until = sent_at + timeout_s

        def plan(tree: Tree, connection: Connection) -> Sequence[Operation] | None:
            change = self._transactions.change(tree)
            change.publish(self._member, value.encode(), connection.session.number)
            return change.alone()

        leads_by = self._leader_hangs_on()
        if leads_by is not None:
            self._link.leave_unless_kept(leads_by)
        self._link.engage(ttl_s)
        connection = self._link.ready(until, heard_within_s=ttl_s * _KEPT_RECENTLY)
        if self._published != (value, connection.session.number):
            self._published = None
            self._transactions.send(plan, until)
            self._published = (value, connection.session.number)
        if connection.session.number != leads_by:
            self._link.kept(sent_at)

    def withdraw(self, *, timeout_s: float) -> None:
        """Delete this member's record."""
        self._published = None
        until = self._clock.now() + timeout_s
        path = self._keys.path(f"{MEMBERS}/{self._member}")
        self._link.ready(until, heard_within_s=FRESH_S).ask([Delete(path, -1)], until)

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` within milliseconds of a change, from a thread of its own."""
        self._link.watch(wake)

    def close(self) -> None:
        """End threads and connection. The session, with a lock that hangs on it, stays until it expires."""
        self._link.close()

    def _written(self, request: ReleaseRequest | WriteRequest, plan: Plan, timeout_s: float) -> Written | Refused:
        results = self._transactions.send(plan, self._clock.now() + timeout_s)
        if results is None:
            return self._refusal()
        transaction = max((result.mzxid for result in results if isinstance(result, ZnodeStat)), default=0)
        return Written(versions=tuple(0 if put.value is None else transaction for put in request.puts))

    def _leader_hangs_on(self) -> int | None:
        """Return the session that the lock hangs on, as far as known."""
        leader = self._transactions.tree.nodes.get(LEADER) if self._transactions.tree is not None else None
        return None if leader is None else leader.stat.ephemeralOwner

    def _refusal(self) -> Refused:
        lock = self._transactions.tree.lock if self._transactions.tree is not None else None
        return Refused(holder=lock.holder if lock else None)

    def _picture(self, sent_at: Instant, tree: Tree) -> Snapshot:
        if tree.revision < self._newest:
            self._sightings.forget()
        self._newest = tree.revision
        records = {name: self._sightings.read(name, text(node), node.stat.mzxid) for name, node in tree.records()}
        members = {name: self._sightings.read(f"{MEMBERS}/{name}", text(node), node.stat.mzxid) for name, node in tree.members()}
        own = tree.nodes.get(f"{MEMBERS}/{self._member}")
        self._published = (text(own), own.stat.ephemeralOwner) if own is not None else None
        self._watch.leading = tree.lock is not None and tree.lock.holder == self._member
        return Snapshot(sent_at=sent_at, revision=tree.revision, lock=tree.lock, records=records, members=members)
