"""What the holder of the lease writes with each request: the own record, and the status with its position. Unknown fields stay."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hacore.interfaces import Put
from hacore.model.cluster import OwnRecord, Status
from hacore.model.lsn import Lsn
from hacore.model.node import NodeState
from hacore.model.slots import slot_name
from hacore.records import names
from hacore.records.own import own_json
from hacore.records.status import status_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The records as they were last read: parsed, and as text, for the fields that we do not know."""

    own: OwnRecord | None = None
    status: Status = field(default_factory=Status)
    texts: Mapping[str, str] = field(default_factory=dict)


def own_put(own: OwnRecord, seen: Seen, version: int | None = None) -> Put:
    """Write the own record; ``version``: only if this revision still stands."""
    return Put(name=names.OWN, value=own_json(own, seen.texts.get(names.OWN)), expected=version)


def status_puts(node: NodeState, seen: Seen, member: str) -> tuple[Put, ...]:
    """Write a primary's position and those of its slots, where they have changed."""
    if not node.is_primary or node.flushed_lsn is None:
        return ()
    slots = {slot.name: slot.restart_lsn for slot in node.slots if slot.is_physical and slot.restart_lsn is not None}
    slots[slot_name(member)] = node.flushed_lsn
    put = _put(replace(seen.status, optime=node.flushed_lsn, slots=tuple(sorted(slots.items()))), seen)
    return () if put.value == seen.texts.get(names.STATUS) else (put,)


def final_status_put(optime: Lsn, seen: Seen) -> Put:
    """Write the position of the shutdown checkpoint; everything else is carried over."""
    return _put(replace(seen.status, optime=optime), seen)


def _put(status: Status, seen: Seen) -> Put:
    return Put(name=names.STATUS, value=status_json(status, seen.texts.get(names.STATUS)))
