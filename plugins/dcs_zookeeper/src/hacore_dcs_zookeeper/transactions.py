"""Readings and transactions of one cluster: what is known of its tree, and how it is changed.

What enables writes rests on a transaction that compares; what was read before only tells which one to send. A transaction that fails
has definitely done nothing: everything is read again, and either another one is sent or the answer is no. That reading follows another
transaction, an empty one: what is not there then is not there, whoever leads the servers, while a `sync` asks a leader that may not know
yet that it is none any more.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from kazoo.exceptions import BadVersionError, KazooException, NodeExistsError, NoNodeError, RolledBackError, RuntimeInconsistency
from kazoo.protocol.serialization import CheckVersion, Create, Sync, Transaction

from hacore.model.clock import Instant
from hacore_dcs_zookeeper.change import Change, Operation, applied
from hacore_dcs_zookeeper.connection import Connection, RejectedError
from hacore_dcs_zookeeper.jute import Found
from hacore_dcs_zookeeper.link import Link
from hacore_dcs_zookeeper.tree import Keys, Reading, Tree

FRESH_S: Final = 1.0  # a connection that answered this recently is trusted with a request that must not be repeated
_CHANGED: Final = (NoNodeError, NodeExistsError, BadVersionError)  # the tree is not as it was read
_OTHERS: Final = (RolledBackError, RuntimeInconsistency)  # of a failed transaction: operations that did not fail themselves
Plan = Callable[[Tree, Connection], Sequence[Operation] | None]  # the operations to send, or no


class Transactions:
    """The tree as this session knows it."""

    def __init__(self, *, link: Link, keys: Keys, acl: Sequence[Any]) -> None:
        self.tree: Tree | None = None  # as last read or written, for as long as nothing is known to have changed since
        self._link = link
        self._keys = keys
        self._acl = acl
        self._reading = Reading()

    def change(self, tree: Tree) -> Change:
        """Begin a change of this tree."""
        return Change(keys=self._keys, tree=tree, acl=self._acl)

    def send(self, plan: Plan, until: Instant, *, heard_within_s: float = FRESH_S, reads: bool = False) -> list[Any] | None:
        """Send what ``plan`` makes of the tree; ``None`` is its definite no. What was read before is good for a first attempt only."""
        tree, was_just_read = self.tree, False
        while True:
            if tree is None or not tree.is_there:
                tree, was_just_read = self.read(until, definite=True), True
            connection = self._link.ready(until, heard_within_s=heard_within_s)
            operations = plan(tree, connection)
            if operations is None and was_just_read:
                return None
            if operations is not None:
                also = [self._reading.request(self._keys)] if reads else []
                self.tree = None
                results, *found = connection.ask([Transaction(operations), *also], until)
                if _has_happened(results):
                    after = applied(self._keys, tree, operations, results, connection.session.number)
                    self.tree = self._whole(found[0]) if found else after
                    return list(results)
            tree = None

    def read(self, until: Instant, *, definite: bool = False) -> Tree:
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
                self.tree = tree
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
        for answer in self._link.ready(until, heard_within_s=FRESH_S).ask(requests, until):
            if isinstance(answer, KazooException) and not isinstance(answer, NodeExistsError):
                raise RejectedError(f"zookeeper: {self._keys.prefix}: {answer!r}") from answer


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
