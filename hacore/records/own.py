"""hacore's own record beside the field's keys (safety.md 5 is its meaning)."""

from math import inf
from typing import Final

from hacore.model.cluster import HoldMark, OwnRecord
from hacore.records.json_text import BrokenRecordError, as_list, as_text, as_timeline, as_whole, merge, parse_fields
from hacore.records.member import read_times
from hacore.records.restore import read_restore, restore_fields

_KNOWN: Final = frozenset(
    {"store_id", "token", "instance", "holder", "heartbeat", "ttl", "clean", "unfenced", "claims", "timeline", "parent", "bootstrapping"}
    | {"times", "known_members", "hold", "restore"}
)


def read_own(text: str) -> OwnRecord:
    """Read the own record.

    :raises BrokenRecordError: it cannot be understood; nobody may take the lock by what it says then.
    """
    found = parse_fields(text)
    return OwnRecord(
        store_id=as_text(found.required("store_id")),
        token=as_whole(found.required("token")),
        instance=found.text("instance"),
        holder=as_text(found.required("holder")),
        heartbeat=as_whole(found.required("heartbeat")),
        ttl_s=_positive(found.number("ttl")),
        clean=found.text("clean"),
        unfenced=found.text("unfenced"),
        claims=tuple(sorted(_read_claim(one) for one in found.items("claims"))),
        timeline=found.timeline("timeline"),
        parent=_read_claim(found.raw("parent")) if found.raw("parent") is not None else None,
        bootstrapping=found.flag("bootstrapping") or False,
        times=read_times(found.raw("times")),
        known_members=found.texts("known_members"),
        hold=_read_hold(found.raw("hold")),
        restore=read_restore(found.fields("restore")) if found.raw("restore") is not None else None,
    )


def own_json(own: OwnRecord, previous: str | None = None) -> str:
    """Write the own record, with the unknown fields of the ``previous`` one."""
    optional: dict[str, object] = {
        "clean": own.clean,
        "unfenced": own.unfenced,
        "claims": [list(claim) for claim in own.claims] or None,
        "timeline": own.timeline,
        "parent": None if own.parent is None else list(own.parent),
        "bootstrapping": own.bootstrapping or None,
        "times": None if own.times is None else list(own.times),
        "known_members": list(own.known_members) or None,
        "hold": None if own.hold is None else {"id": own.hold.switchover_id, "token": own.hold.token, "limit": own.hold.limit_s},
        "restore": None if own.restore is None else restore_fields(own.restore),
    }
    fields: dict[str, object] = {
        "store_id": own.store_id,
        "token": own.token,
        "instance": own.instance,
        "holder": own.holder,
        "heartbeat": own.heartbeat,
        "ttl": own.ttl_s,
        **{name: value for name, value in optional.items() if value is not None},
    }
    return merge(fields, previous, _KNOWN)


def _positive(ttl_s: float | None) -> float:
    if ttl_s is None or ttl_s <= 0:
        raise BrokenRecordError("ttl: want seconds, more than 0")
    return ttl_s


def _read_hold(found: object) -> HoldMark | None:
    """Read the mark of a switchover; one that cannot be understood holds nothing back, and keeps nobody from taking the lock."""
    if not isinstance(found, dict):
        return None
    name, token, limit = found.get("id"), found.get("token"), found.get("limit")
    if not isinstance(name, str) or not name or not isinstance(token, int) or not isinstance(limit, int | float) or not 0 < limit < inf:
        return None
    return HoldMark(switchover_id=name, token=token, limit_s=float(limit))


def _read_claim(found: object) -> tuple[int, int]:
    row = as_list(found)
    if len(row) != 2:  # noqa: PLR2004 - a pair
        raise BrokenRecordError("want a timeline and a number")
    return as_timeline(row[0]), as_whole(row[1])
