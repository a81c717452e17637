"""The two functions of ``schema.sql``, as Python calls them: values in, values out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from hacore.interfaces import Put
from hacore.model.clock import Instant
from hacore.model.lease import Lock
from hacore_dcs_pgtable.connection import Connection

_LOOK: Final = "SELECT * FROM hacore.look(%s)"
_CHANGE: Final = "SELECT * FROM hacore.change(%s, %s, %s, %s, %s, %s, %s::text[], %s::bytea[], %s::bigint[])"
Action = Literal["acquire", "renew", "release", "write", "publish"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What stands of a cluster, at one moment."""

    revision: int
    lock: Lock | None
    left_s: float  # until the lock ends, unless it is renewed
    records: Mapping[str, tuple[int, str]]  # version and value by name, the members' among them


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a change. ``lock``: that stands afterwards."""

    done: bool
    lock: Lock | None
    revision: int


class Table:
    """The rows of one cluster, as one member sees and changes them."""

    def __init__(self, connection: Connection, cluster: str, member: str) -> None:
        self.connection = connection
        self.member = member
        self._cluster = cluster

    def look(self, *, until: Instant) -> Seen:
        """Read everything in one statement."""
        revision, lock, left_s = 0, None, 0.0
        records = {}
        for newest, holder, instance, seconds, name, value, version in self.connection.rows(_LOOK, (self._cluster,), until=until):
            revision = newest
            if instance is not None:
                lock, left_s = Lock(holder=holder, instance=instance), seconds
            if name is not None:
                records[name] = (version, bytes(value).decode(errors="surrogateescape"))
        return Seen(revision=revision, lock=lock, left_s=left_s, records=records)

    def change(self, action: Action, puts: Sequence[Put], *, until: Instant, lock: Lock | None = None, ttl_s: float = 0.0) -> Answer:
        """Compare and write in one transaction, which is one statement with a short answer."""
        must_stand = (None, None) if lock is None else (lock.holder, lock.instance)
        names = [put.name for put in puts]
        values = [None if put.value is None else put.value.encode(errors="surrogateescape") for put in puts]
        expected = [put.expected for put in puts]
        given = (action, self._cluster, self.member, *must_stand, ttl_s, names, values, expected)
        ((done, holder, instance, revision),) = self.connection.rows(_CHANGE, given, until=until)
        stands = None if instance is None else Lock(holder=holder, instance=instance)
        return Answer(done=done, lock=stands, revision=revision)

    def sleep(self, *, until: Instant, interrupt: int) -> None:
        """Wait until somebody has changed something, or until an instant."""
        self.connection.sleep(self._cluster, until=until, interrupt=interrupt)
