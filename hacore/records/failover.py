"""A person's wish for another leader: ``failover`` (interface reference 3.1)."""

from datetime import datetime

from hacore.model.cluster import FailoverRequest
from hacore.records.json_text import RECORD_LIMIT, Fields, as_object, compact, parse


def read_failover(text: str, version: int) -> FailoverRequest | None:
    """Read ``failover``; ``None`` where nothing is wished.

    :raises BrokenRecordError: it cannot be understood.
    """
    stripped = text.strip()
    if not stripped:
        return None
    if stripped[0] not in '{["' and ":" in stripped[:RECORD_LIMIT]:
        leader, _, candidate = stripped[:RECORD_LIMIT].partition(":")  # the oldest form: ``from:to``
        return _request(leader.strip(), candidate.strip(), None, version)
    found = parse(stripped)
    if found is None:
        return None
    fields = Fields(as_object(found))
    return _request(fields.text("leader"), fields.text("member"), fields.instant("scheduled_at"), version)


def failover_json(leader: str | None = None, candidate: str | None = None, scheduled_at: datetime | None = None) -> str:
    """Write ``failover``; without any argument the blank record."""
    fields = {
        "leader": leader,
        "member": candidate,
        "scheduled_at": scheduled_at.isoformat() if scheduled_at else None,
    }
    return compact({name: value for name, value in fields.items() if value})


def _request(leader: str | None, candidate: str | None, scheduled_at: datetime | None, version: int) -> FailoverRequest | None:
    if not leader and not candidate:
        return None
    return FailoverRequest(leader=leader or None, candidate=candidate or None, scheduled_at=scheduled_at, version=version)
