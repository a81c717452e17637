"""One reading of the store, parsed: the only way from a :class:`Snapshot` to a :class:`ClusterView`.

Most records are what they were a turn ago: their texts are parsed once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeVar

from hacore.interfaces import Record, Snapshot
from hacore.model.cluster import ClusterView, Member, Status
from hacore.records import names
from hacore.records.backups import read_backups
from hacore.records.failover import read_failover
from hacore.records.history import read_history
from hacore.records.json_text import BrokenRecordError, parse_fields
from hacore.records.member import read_member
from hacore.records.own import read_own
from hacore.records.status import read_optime, read_status

T = TypeVar("T")

_SYSTEM_ID_SHORTEST: Final = 10  # digits; what is shorter was written by hand
_MEMBERS_KEPT: Final = 128
_member: Final = lru_cache(_MEMBERS_KEPT)(read_member)
_status: Final = lru_cache(1)(read_status)
_history: Final = lru_cache(1)(read_history)
_backups: Final = lru_cache(1)(read_backups)


def read_cluster(snapshot: Snapshot) -> ClusterView:
    """Parse all records. One that is there and cannot be understood is named in ``broken`` and counts as absent otherwise.

    A member whose record is broken (``members/NAME``) is left out.
    """
    reading = _Reading(snapshot)
    sync = reading.read(names.SYNC, _read_sync)
    return ClusterView(
        sent_at=snapshot.sent_at,
        revision=snapshot.revision,
        lock=snapshot.lock,
        initialize=reading.read(names.INITIALIZE, _read_initialize),
        initialize_version=reading.version(names.INITIALIZE),
        config=reading.read(names.CONFIG, _read_config),
        config_version=reading.version(names.CONFIG),
        members=reading.members(),
        status=reading.status(),
        failover=reading.read(names.FAILOVER, lambda text: read_failover(text, reading.version(names.FAILOVER) or 0)),
        sync_leader=sync or None,
        history=reading.read(names.HISTORY, _history),
        own=reading.read(names.OWN, read_own),
        own_version=reading.version(names.OWN),
        backups=reading.read(names.BACKUP, _backups),
        own_received_at=snapshot.records[names.OWN].received_at if names.OWN in snapshot.records else None,
        broken=frozenset(reading.broken),  # last: the readers above have named them
    )


@dataclass(slots=True)
class _Reading:
    snapshot: Snapshot
    broken: set[str] = field(default_factory=set)

    def version(self, name: str) -> int | None:
        record = self.snapshot.records.get(name)
        return record.version if record else None

    def read(self, name: str, reader: Callable[[str], T]) -> T | None:
        return self._understand(name, self.snapshot.records.get(name), reader)

    def status(self) -> Status:
        if names.STATUS in self.snapshot.records:
            return self.read(names.STATUS, _status) or Status()
        return self.read(names.OPTIME, read_optime) or Status()

    def members(self) -> tuple[Member, ...]:
        read = (self._member(name, record) for name, record in sorted(self.snapshot.members.items()))
        return tuple(member for member in read if member is not None)

    def _member(self, name: str, record: Record) -> Member | None:
        return self._understand(names.member_name(name), record, lambda text: _member(name, text))

    def _understand(self, name: str, record: Record | None, reader: Callable[[str], T]) -> T | None:
        if record is None:
            return None
        try:
            return reader(record.value)
        except BrokenRecordError:
            self.broken.add(name)
            return None


def _read_initialize(text: str) -> str:
    digits = text.strip()
    if digits and not (digits.isascii() and digits.isdigit() and len(digits) >= _SYSTEM_ID_SHORTEST):
        raise BrokenRecordError("not a system identifier")
    return digits


@lru_cache(1)
def _read_config(text: str) -> str:
    parse_fields(text)
    return text


def _read_sync(text: str) -> str:
    if text.strip() in {"", "null"}:  # switched off
        return ""
    return parse_fields(text).text("leader") or ""
