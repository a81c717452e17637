"""The session of one member with ZooKeeper: the field's nodes, the lock and the member record that end with the session.

What enables writes rests on a transaction that compares; what was read before only tells which one to send. A transaction that fails
has definitely done nothing: everything is read again, and either another one is sent or the answer is no. That reading follows another
transaction, an empty one: what is not there then is not there, whoever leads the servers, while a `sync` asks a leader that may not know
yet that it is none any more.
"""

import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from kazoo.exceptions import BadVersionError, KazooException, NodeExistsError, NoNodeError, RolledBackError, RuntimeInconsistency
from kazoo.protocol.serialization import CheckVersion, Create, Delete, Sync, Transaction
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
from hacore_dcs_zookeeper.change import Change, Operation, applied
from hacore_dcs_zookeeper.connection import Connection, RejectedError
from hacore_dcs_zookeeper.jute import Found
from hacore_dcs_zookeeper.link import Link
from hacore_dcs_zookeeper.sightings import Sightings
from hacore_dcs_zookeeper.tree import LEADER, MEMBERS, Keys, Mark, Reading, Tree, text
from hacore_dcs_zookeeper.watch import Watch

_FRESH_S: Final = 1.0  # a connection that answered this recently is trusted with a request that must not be repeated
_KEPT_RECENTLY: Final = 0.1  # of the ttl: a session that was kept alive this recently is left alone
_CHANGED: Final = (NoNodeError, NodeExistsError, BadVersionError)  # the tree is not as it was read
_OTHERS: Final = (RolledBackError, RuntimeInconsistency)  # of a failed transaction: operations that did not fail themselves
Plan = Callable[[Tree, Connection], Sequence[Operation] | None]  # the operations to send, or no


class ZookeeperDcs:
    """What one agent knows of the store, and its place in it."""

    def __init__(  # noqa: PLR0913 - the parts of one session
        self, *, link: Link, watch: Watch, keys: Keys, member: str, clock: Clock, sightings: Sightings, acl: Sequence[Any]
    ) -> None:
        self._link = link
        self._watch = watch
        self._keys = keys
        self._member = member
        self._clock = clock
        self._sightings = sightings
        self._acl = acl
        self._tree: Tree | None = None  # as last read, for as long as nothing is known to have changed since
        self._reading = Reading()
        self._published: tuple[str, int] | None = None  # value of the member record, and the session that it hangs on
        self._newest = 0

    def snapshot(self, *, timeout_s: float) -> Snapshot:
        """Read everything, at one moment after the leader of the servers has been heard."""
        sent_at = self._clock.now()
        return self._picture(sent_at, self._read(sent_at + timeout_s))

    def acquire(self, request: AcquireRequest, *, timeout_s: float) -> Acquired | Refused:
        """Create the lock under this session, in the place of the one that may be replaced."""
        sent_at = self._clock.now()
        instance = uuid.uuid4().hex

        def plan(tree: Tree, connection: Connection) -> Sequence[Operation] | None:
            change = self._change(tree)
            if tree.lock not in (None, request.replaces) or not change.put(request.puts):
                return None
            change.take_lock(self._member, Mark(connection.session.number, instance))
            return change.operations()

        self._link.engage(request.ttl_s)
        if self._transact(plan, sent_at + timeout_s) is None:
            return self._refusal()
        return Acquired(lock=Lock(holder=self._member, instance=instance), sent_at=sent_at - self._link.missing_s(request.ttl_s))

    def renew(self, request: RenewRequest, *, timeout_s: float) -> Renewed | Refused:
        """Find the lock unchanged, write, and read everything. A lock that hangs on another session is moved to this one."""
        sent_at = self._clock.now()

        def plan(tree: Tree, connection: Connection) -> Sequence[Operation] | None:
            change = self._change(tree)
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
        if self._transact(plan, sent_at + timeout_s, heard_within_s=0, reads=True) is None:
            return self._refusal()
        tree = self._tree or self._read(sent_at + timeout_s)
        sent_at -= self._link.missing_s(request.ttl_s)
        return Renewed(sent_at=sent_at, snapshot=self._picture(sent_at, tree)) if tree.lock == request.lock else self._refusal()

    def release(self, request: ReleaseRequest, *, timeout_s: float) -> Written | Refused:
        """Write and delete the lock in one transaction."""

        def plan(tree: Tree, _: Connection) -> Sequence[Operation] | None:
            change = self._change(tree)
            if tree.lock != request.lock or not change.put(request.puts):
                return None
            change.remove_lock()
            return change.operations()

        return self._written(request, plan, timeout_s)

    def write(self, request: WriteRequest, *, timeout_s: float) -> Written | Refused:
        """Write records by comparison."""

        def plan(tree: Tree, _: Connection) -> Sequence[Operation] | None:
            change = self._change(tree)
            if request.lock not in (None, tree.lock) or not change.put(request.puts):
                return None
            if request.lock is not None:
                change.check_lock()
            return change.operations()

        return self._written(request, plan, timeout_s)

    def publish(self, value: str, *, ttl_s: float, timeout_s: float) -> None:
        """Write this member's record where it differs; keep the session alive where nothing else has just done so."""
        until = self._clock.now() + timeout_s

        def plan(tree: Tree, connection: Connection) -> Sequence[Operation] | None:
            change = self._change(tree)
            change.publish(self._member, value.encode(), connection.session.number)
            return change.alone()

        self._link.engage(ttl_s)
        connection = self._link.ready(until, heard_within_s=ttl_s * _KEPT_RECENTLY)
        if self._published == (value, connection.session.number):
            return
        self._published = None
        self._transact(plan, until)
        self._published = (value, connection.session.number)

    def withdraw(self, *, timeout_s: float) -> None:
        """Delete this member's record."""
        self._published = None
        until = self._clock.now() + timeout_s
        path = self._keys.path(f"{MEMBERS}/{self._member}")
        self._link.ready(until, heard_within_s=_FRESH_S).ask([Delete(path, -1)], until)

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` within milliseconds of a change, from a thread of its own."""
        self._link.watch(wake)

    def close(self) -> None:
        """End threads and connection. The session, with a lock that hangs on it, stays until it expires."""
        self._link.close()

    def _change(self, tree: Tree) -> Change:
        return Change(keys=self._keys, tree=tree, acl=self._acl)

    def _written(self, request: ReleaseRequest | WriteRequest, plan: Plan, timeout_s: float) -> Written | Refused:
        results = self._transact(plan, self._clock.now() + timeout_s)
        if results is None:
            return self._refusal()
        transaction = max((result.mzxid for result in results if isinstance(result, ZnodeStat)), default=0)
        return Written(versions=tuple(0 if put.value is None else transaction for put in request.puts))

    def _transact(self, plan: Plan, until: Instant, *, heard_within_s: float = _FRESH_S, reads: bool = False) -> list[Any] | None:
        """Send what ``plan`` makes of the tree; ``None`` is its definite no. What was read before is good for a first attempt only."""
        tree, was_just_read = self._tree, False
        while True:
            if tree is None or not tree.is_there:
                tree, was_just_read = self._read(until, definite=True), True
            connection = self._link.ready(until, heard_within_s=heard_within_s)
            operations = plan(tree, connection)
            if operations is None and was_just_read:
                return None
            if operations is not None:
                also = [self._reading.request(self._keys)] if reads else []
                self._tree = None
                results, *found = connection.ask([Transaction(operations), *also], until)
                if _has_happened(results):
                    after = applied(self._keys, tree, operations, results, connection.session.number)
                    self._tree = self._whole(found[0]) if found else after
                    return list(results)
            tree = None

    def _read(self, until: Instant, *, definite: bool = False) -> Tree:
        """Read everything, by as many requests as it takes to know all names; the last one alone counts.

        :param definite: to answer a transaction by it. Then the cluster's node is made, too, where it is missing.
        """
        first = Transaction([CheckVersion(self._keys.prefix, -1)]) if definite else Sync(self._keys.prefix)
        while True:
            _, found = self._link.ask([first, self._reading.request(self._keys)], until)
            tree = self._whole(found)
            if tree is not None and definite and not tree.is_there:
                self._create_root(until)
            elif tree is not None:
                self._tree = tree
                return tree

    def _whole(self, found: list[Found] | KazooException) -> Tree | None:
        """Return what was read, unless there is more to it."""
        if isinstance(found, KazooException):
            raise RejectedError(f"zookeeper: {self._keys.prefix}: {found!r}") from found
        asked = self._reading
        try:
            tree, self._reading = asked.result(found)
        except KazooException as error:
            raise RejectedError(f"zookeeper: {self._keys.prefix}: {error!r}") from error
        return tree if asked.covers(self._reading) else None

    def _create_root(self, until: Instant) -> None:
        """Make the node of the cluster, and those above it, where they are missing."""
        requests = [Create(path, b"", list(self._acl), 0) for path in self._keys.ancestors()]
        for answer in self._link.ready(until, heard_within_s=_FRESH_S).ask(requests, until):
            if isinstance(answer, KazooException) and not isinstance(answer, NodeExistsError):
                raise RejectedError(f"zookeeper: {self._keys.prefix}: {answer!r}") from answer

    def _refusal(self) -> Refused:
        lock = self._tree.lock if self._tree is not None else None
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


def _has_happened(results: list[object] | KazooException) -> bool:
    """Tell whether a transaction took effect; where it did not, nothing of it did.

    :raises RejectedError: it never will.
    """
    if isinstance(results, KazooException):
        raise RejectedError(f"zookeeper: {results!r}") from results
    failed = [one for one in results if isinstance(one, KazooException)]
    reason = next((one for one in failed if not isinstance(one, _OTHERS)), None)
    if reason is not None and not isinstance(reason, _CHANGED):
        raise RejectedError(f"zookeeper: a transaction was refused: {reason!r}") from reason
    return not failed
