"""The operations of one transaction on a tree as it was read. Pure: values in, operations out."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from kazoo.protocol.serialization import CheckVersion, Create, Delete, SetData
from kazoo.protocol.states import ZnodeStat

from hacore.interfaces import Put
from hacore_dcs_zookeeper.jute import Node
from hacore_dcs_zookeeper.tree import GENERATION, LEADER, MEMBERS, ROOT, Keys, Mark, Tree

ANY: Final = -1
EPHEMERAL: Final = 1
PERSISTENT: Final = 0
_UNKNOWN: Final = ZnodeStat(*(0 for _ in ZnodeStat._fields))
Operation: TypeAlias = CheckVersion | Create | Delete | SetData


class Change:
    """Gathers what shall happen as a whole, or not at all; with it the comparisons that it rests on."""

    def __init__(self, *, keys: Keys, tree: Tree, acl: Sequence[Any]) -> None:
        self._keys = keys
        self._tree = tree
        self._acl = list(acl)
        self._mark = tree.mark
        self._moves = not tree.generations  # whether another generation must take the place of this one
        self._made: set[str] = set()
        self._operations: list[Operation] = []

    def put(self, puts: Iterable[Put]) -> bool:
        """Write records. ``False``: one of them is known not to be as expected."""
        stand = [self._put(put) for put in puts]
        return all(stand)

    def check_lock(self) -> None:
        """Go ahead only while the lock is as it was read."""
        self._operations.append(CheckVersion(self._keys.path(LEADER), self._tree.nodes[LEADER].stat.version))

    def take_lock(self, holder: str, mark: Mark) -> None:
        """Create the lock in the place of the one that was read, if there was one.

        Written twice, so that its version is not that of a leader node that another product has just created.
        """
        self.remove_lock()
        self._create(LEADER, holder.encode(), EPHEMERAL)
        self._mark = mark

    def remove_lock(self) -> None:
        """Delete the lock that was read."""
        leader = self._tree.nodes.get(LEADER)
        if leader is not None:
            self._delete(LEADER, leader.stat.version)
        self._mark = None

    def publish(self, member: str, value: bytes, session: int) -> None:
        """Write the record of a member, which ends with the session. It is its owner's alone: nothing is compared."""
        name = f"{MEMBERS}/{member}"
        node = self._tree.nodes.get(name)
        if node is not None and node.stat.ephemeralOwner == session:
            self._operations.append(SetData(self._keys.path(name), value, ANY))
            return
        if node is not None:
            self._operations.append(Delete(self._keys.path(name), ANY))
        self._make_parents(name)
        self._operations.append(Create(self._keys.path(name), value, self._acl, EPHEMERAL))

    def alone(self) -> tuple[Operation, ...]:
        """Return the operations without the comparison of generations."""
        return tuple(self._operations)

    def operations(self) -> tuple[Operation, ...]:
        """Return all operations, in their order."""
        known = [self._keys.path(name) for name in self._tree.generations]
        if not self._moves:
            return (*(CheckVersion(path, ANY) for path in known), *self._operations)
        created = Create(
            self._keys.path(f"{GENERATION}{uuid.uuid4().hex}"), self._mark.encode() if self._mark else b"", self._acl, PERSISTENT
        )
        root = self._tree.nodes[ROOT]
        first = () if known else (SetData(self._keys.prefix, root.data, root.stat.version),)  # of two who make the first, one does
        return (*first, *(Delete(path, ANY) for path in known), created, *self._operations)

    def _put(self, put: Put) -> bool:
        node = self._tree.nodes.get(put.name)
        if put.expected is not None and put.expected != _version(node):
            return False
        version = ANY if put.expected is None or node is None else node.stat.version
        if node is None and put.value is not None:
            self._create(put.name, put.value.encode(), PERSISTENT)
        elif node is not None and put.value is not None:
            self._operations.append(SetData(self._keys.path(put.name), put.value.encode(), version))
        elif node is not None:
            self._delete(put.name, version)
        return True

    def _create(self, name: str, value: bytes, flags: int) -> None:
        self._moves = True
        self._make_parents(name)
        path = self._keys.path(name)
        self._operations += [Create(path, b"", self._acl, flags), SetData(path, value, 0)]  # only the second tells its transaction

    def _delete(self, name: str, version: int) -> None:
        self._moves = True
        self._operations.append(Delete(self._keys.path(name), version))

    def _make_parents(self, name: str) -> None:
        parts = name.split("/")
        for parent in ("/".join(parts[:count]) for count in range(1, len(parts))):
            if parent not in self._tree.nodes and parent not in self._made:
                self._made.add(parent)
                self._operations.append(Create(self._keys.path(parent), b"", self._acl, PERSISTENT))


def applied(keys: Keys, tree: Tree, operations: Iterable[Operation], results: Iterable[Any], session: int) -> Tree:
    """Return the tree after a transaction, as far as the next one needs it: what was only created has no numbers yet."""
    nodes = dict(tree.nodes)
    for operation, result in zip(operations, results, strict=True):
        name = keys.name(operation.path)
        if isinstance(operation, Delete):
            del nodes[name]
        elif isinstance(operation, SetData):
            nodes[name] = Node(operation.data, result)
        elif isinstance(operation, Create):
            nodes[name] = Node(operation.data, _UNKNOWN._replace(ephemeralOwner=session if operation.flags == EPHEMERAL else 0))
    return Tree(nodes)


def _version(node: Node | None) -> int:
    return 0 if node is None else node.stat.mzxid
