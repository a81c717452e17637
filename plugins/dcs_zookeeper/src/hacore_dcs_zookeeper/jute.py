"""The requests of ZooKeeper's protocol that kazoo does not have, in its form. Pure: values in, bytes out, and back.

``MultiRead`` (since 3.6) reads many nodes at one moment: a server carries out a request as a whole between two transactions.
"""

from typing import Any, Final, NamedTuple, TypeAlias

from kazoo.exceptions import EXCEPTIONS, KazooException
from kazoo.protocol.serialization import GetChildren, GetData, MultiHeader, Transaction, int_struct, read_buffer, stat_struct, write_string
from kazoo.protocol.states import ZnodeStat

RECURSIVE: Final = 1  # a watch that stays, on a node and all below it
_ERROR: Final = -1


class Node(NamedTuple):
    """One node as it was read."""

    data: bytes
    stat: ZnodeStat


Found: TypeAlias = Node | tuple[str, ...] | KazooException  # data, the names of children, or why there is neither


class MultiRead(NamedTuple):
    """Read all of it; what one of the readings failed with stands in its place."""

    operations: tuple[GetData | GetChildren, ...]
    type: int = 22

    def serialize(self) -> bytes:
        """Return the body of the request."""
        return bytes(Transaction(self.operations).serialize())

    @classmethod
    def deserialize(cls, body: bytes, offset: int) -> list[Found]:
        """Read the body of the answer."""
        found: list[Found] = []
        header, offset = MultiHeader.deserialize(body, offset)
        while not header.done:
            part, offset = _part(header.type, body, offset)
            found.append(part)
            header, offset = MultiHeader.deserialize(body, offset)
        return found


class AddWatch(NamedTuple):
    """Watch a node, whether it is there or not, and all below it, for as long as the connection lasts."""

    path: str
    type: int = 106

    def serialize(self) -> bytes:
        """Return the body of the request."""
        return bytes(write_string(self.path) + int_struct.pack(RECURSIVE))

    @classmethod
    def deserialize(cls, body: bytes, offset: int) -> bool:  # noqa: ARG003 - kazoo's
        """Read the body of the answer, which is none."""
        return True


def _part(kind: int, body: bytes, offset: int) -> tuple[Found, int]:
    if kind == GetData.type:
        data, offset = read_buffer(body, offset)
        stat = ZnodeStat._make(stat_struct.unpack_from(body, offset))
        return Node(bytes(data), stat), offset + stat_struct.size
    if kind == GetChildren.type:
        return _names(body, offset)
    if kind == _ERROR:
        (code,) = int_struct.unpack_from(body, offset)
        error: Any = EXCEPTIONS[code]()
        return error, offset + int_struct.size
    raise ValueError(f"an answer of kind {kind} to a reading")


def _names(body: bytes, offset: int) -> tuple[tuple[str, ...], int]:
    (count,) = int_struct.unpack_from(body, offset)
    offset += int_struct.size
    names = []
    for _ in range(count):
        name, offset = read_buffer(body, offset)
        names.append(bytes(name).decode())
    return tuple(names), offset
