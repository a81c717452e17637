"""The nodes of one cluster as they stood at one moment, and what they mean: lock, records, members. Pure: values in, values out.

A node's version counts the writes since its creation, so it says nothing about a node that was deleted and created again; the number of its
last transaction (mzxid) does, but a transaction of ZooKeeper cannot compare it. What it can compare is whether a node of a certain name is
there. So there is one more node, the generation, whose name nobody can guess: whoever creates or deletes a record or the lock puts another
in its place. While it stands, each node that was read is still that node, and its version tells whether it was written.

The generation holds the mark of the lock: the session that took it, and the instance of the holding. A leader node of another session,
which another product has made, has no such mark; its creation (czxid) is its instance then.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from kazoo.exceptions import KazooException, NoNodeError
from kazoo.protocol.serialization import GetChildren, GetData

from hacore.model.lease import Lock
from hacore_dcs_zookeeper.jute import Found, MultiRead, Node

ROOT: Final = ""
LEADER: Final = "leader"
MEMBERS: Final = "members"
GENERATION: Final = "hacore.generation."


class Mark(NamedTuple):
    """Whose lock stands, and which holding it is."""

    session: int
    instance: str

    def encode(self) -> bytes:
        """Return the content of a generation."""
        return f"{self.session} {self.instance}".encode()

    @classmethod
    def decode(cls, content: bytes) -> "Mark | None":
        """Read the content of a generation; ``None``: nobody holds the lock, or somebody wrote it by hand."""
        session, _, instance = content.decode(errors="replace").partition(" ")
        with contextlib.suppress(ValueError):
            return cls(int(session), instance)
        return None


@dataclass(frozen=True, slots=True)
class Keys:
    """Names and paths of one cluster."""

    prefix: str  # ``/service/demo``

    @classmethod
    def of(cls, chroot: str, namespace: str, scope: str) -> "Keys":
        """Build the prefix; double slashes count as one."""
        return cls("".join(f"/{part}" for part in f"{chroot}/{namespace}/{scope}".split("/") if part))

    def path(self, name: str) -> str:
        """Return the path of a node."""
        return f"{self.prefix}/{name}" if name else self.prefix

    def name(self, path: str) -> str:
        """Return the name of a node below the prefix."""
        return path.removeprefix(self.prefix).lstrip("/")

    def ancestors(self) -> Iterator[str]:
        """Return the paths of the cluster's own node and of those above it, from the top."""
        parts = self.prefix.split("/")
        return ("/".join(parts[:count]) for count in range(2, len(parts) + 1))


@dataclass(frozen=True, slots=True)
class Tree:
    """Every node of the cluster, by its name."""

    nodes: Mapping[str, Node] = field(default_factory=dict)

    @property
    def is_there(self) -> bool:
        """Tell whether anybody has ever written anything."""
        return ROOT in self.nodes

    @property
    def generations(self) -> tuple[str, ...]:
        """Return the names of the generations: one, as long as nobody makes another by hand."""
        return tuple(name for name in self.nodes if name.startswith(GENERATION))

    @property
    def mark(self) -> Mark | None:
        """Return the mark of the lock that hacore took last; the lock itself may be gone."""
        return next(filter(None, (Mark.decode(self.nodes[name].data) for name in self.generations)), None)

    @property
    def lock(self) -> Lock | None:
        """Return who holds the lock."""
        leader, mark = self.nodes.get(LEADER), self.mark
        if leader is None:
            return None
        holder = text(leader)
        if mark is not None and mark.session == leader.stat.ephemeralOwner:
            return Lock(holder=holder, instance=mark.instance)
        return Lock(holder=holder, instance=f"czxid-{leader.stat.czxid:x}")

    @property
    def revision(self) -> int:
        """Return the number of the newest transaction that has changed anything here."""
        return max((max(node.stat.mzxid, node.stat.pzxid) for node in self.nodes.values()), default=0)

    def members(self) -> Iterator[tuple[str, Node]]:
        """Return the members by their names."""
        return ((name.removeprefix(f"{MEMBERS}/"), node) for name, node in self.nodes.items() if name.startswith(f"{MEMBERS}/"))

    def records(self) -> Iterator[tuple[str, Node]]:
        """Return the records by their names: neither lock nor members, nor what only holds others."""
        for name, node in self.nodes.items():
            special = name in (ROOT, LEADER, MEMBERS) or name.startswith((f"{MEMBERS}/", GENERATION))
            if not special and not (not node.data and node.stat.cversion > 0):
                yield name, node


@dataclass(frozen=True, slots=True)
class Reading:
    """What has to be read to have everything: the nodes that are known, and which of them have others below."""

    names: frozenset[str] = frozenset({ROOT, MEMBERS})
    directories: frozenset[str] = frozenset({ROOT, MEMBERS})

    def request(self, keys: Keys) -> MultiRead:
        """Return the request for all of it."""
        data = tuple(GetData(keys.path(name), None) for name in sorted(self.names))
        return MultiRead((*data, *(GetChildren(keys.path(name), None) for name in sorted(self.directories))))

    def result(self, found: Iterable[Found]) -> tuple[Tree, "Reading"]:
        """Return what was read and what should be read next time; the first is whole when the second does not ask for more.

        :raises KazooException: a server does not let us read.
        """
        answers = iter(found)
        nodes = {name: node for name in sorted(self.names) if isinstance(node := _or_absent(next(answers)), Node)}
        names = set(nodes)
        for directory in sorted(self.directories):
            children = _or_absent(next(answers)) or ()
            names |= {f"{directory}/{child}".lstrip("/") for child in children if isinstance(child, str)}
        directories = {name for name, node in nodes.items() if node.stat.numChildren}
        return Tree(nodes), Reading(frozenset(names) | {ROOT, MEMBERS}, frozenset(directories) | {ROOT, MEMBERS})

    def covers(self, other: "Reading") -> bool:
        """Tell whether everything that the other asks for was asked for here."""
        return self.names >= other.names and self.directories >= other.directories


def text(node: Node) -> str:
    """Return what stands in a node."""
    return node.data.decode(errors="replace")


def _or_absent(found: Found) -> Found | None:
    if isinstance(found, NoNodeError):
        return None
    if isinstance(found, KazooException):
        raise found
    return found
