"""The member record (interface reference 3.2): what each node says of itself."""

from typing import Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

from hacore import INTERFACE_VERSION, __version__
from hacore.model.cluster import Member
from hacore.records.json_text import MEMBER_LIMIT, BrokenRecordError, Fields, as_number, as_object, as_text, compact, parse_fields
from hacore.records.tags import read_tags

_PARTIAL: Final = "partial"
_URL_SCHEMES: Final = ("postgres://", "postgresql://")


def read_member(name: str, text: str) -> Member:
    """Read one member record.

    :raises BrokenRecordError: it cannot be understood; a member of whom half is known is worse than none.
    """
    if text.startswith(_URL_SCHEMES):
        return _read_url(name, text)
    found = parse_fields(text, MEMBER_LIMIT)
    own = found.fields("hacore")
    return Member(
        name=name,
        conn_url=found.text("conn_url"),
        api_url=found.text("api_url"),
        proxy_url=found.text("proxy_url"),
        state=found.text("state") or "unknown",
        role=_read_role(found.text("role")),
        version=found.text("version"),
        hacore_version=own.text("version"),
        times=read_times(own.raw("times")),
        tags=read_tags(found.mapping("tags")),
        lsn=found.lsn("xlog_location"),
        receive_lsn=found.lsn("receive_lsn"),
        replay_lsn=found.lsn("replay_lsn"),
        replication_state=found.text("replication_state"),
        timeline=found.timeline("timeline"),
        pending_restart=found.flag("pending_restart") or False,
        pending_restart_reason=_read_reasons(found),
        scheduled_restart=_read_scheduled(found),
        pause=found.flag("pause") or False,
        checkpoint_after_promote=found.flag("checkpoint_after_promote") is not False,
        unsupported=own.texts("unsupported"),
        archive_fault=own.text("archive_fault"),
        is_fence_partial=own.raw("fence") == _PARTIAL,
    )


def read_times(value: object) -> tuple[float, float, float] | None:
    """Read the three periods (ttl, loop_wait, retry_timeout) in seconds."""
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 3:  # noqa: PLR2004 - three periods
        raise BrokenRecordError("times: want a list of three numbers")
    ttl, loop_wait, retry_timeout = (as_number(one) for one in value)
    return ttl, loop_wait, retry_timeout


def member_json(member: Member) -> str:
    """Write the record of this node's own member: the field's fields in the field's order, ours under ``hacore``."""
    fields: dict[str, object] = {
        "conn_url": member.conn_url,
        "api_url": member.api_url,
        "state": member.state,
        "role": member.role,
        "version": member.version or INTERFACE_VERSION,
        "proxy_url": member.proxy_url,
        "checkpoint_after_promote": None if member.checkpoint_after_promote else False,
        "tags": dict(member.tags.published) or None,
        "pending_restart": member.pending_restart or None,
        "pending_restart_reason": pending_restart_fields(member.pending_restart_reason) or None,
        "xlog_location": member.lsn,
        "receive_lsn": member.receive_lsn,
        "replay_lsn": member.replay_lsn,
        "replication_state": member.replication_state,
        "timeline": member.timeline,
        "scheduled_restart": scheduled_restart_fields(member.scheduled_restart),
        "pause": member.pause or None,
        "hacore": _own_fields(member),
    }
    return compact({name: value for name, value in fields.items() if value is not None})


def pending_restart_fields(reasons: tuple[tuple[str, str, str], ...]) -> dict[str, dict[str, str]]:
    """Return the JSON object of ``pending_restart_reason``."""
    return {setting: {"old_value": old, "new_value": new} for setting, old, new in reasons}


def scheduled_restart_fields(published: str | None) -> dict[str, object] | None:
    """Return the JSON object of ``scheduled_restart`` from the text that a :class:`Member` carries."""
    return None if published is None else parse_fields(published).all()


def _own_fields(member: Member) -> dict[str, object]:
    fields: dict[str, object] = {"version": member.hacore_version or __version__}
    if member.times is not None:
        fields["times"] = list(member.times)
    if member.unsupported:
        fields["unsupported"] = list(member.unsupported)
    if member.archive_fault is not None:
        fields["archive_fault"] = member.archive_fault
    if member.is_fence_partial:
        fields["fence"] = _PARTIAL
    return fields


def _read_role(found: str | None) -> str:
    return "primary" if found == "master" else found or "replica"


def _read_reasons(found: Fields) -> tuple[tuple[str, str, str], ...]:
    reasons = []
    for setting, one in found.mapping("pending_restart_reason").items():
        values = Fields(as_object(one))
        reasons.append((setting, _value(values.raw("old_value")), _value(values.raw("new_value"))))
    return tuple(reasons)


def _value(found: object) -> str:
    return "" if found is None else str(found) if isinstance(found, int | float) else as_text(found)


def _read_scheduled(found: Fields) -> str | None:
    scheduled = found.mapping("scheduled_restart")
    return compact(scheduled) if scheduled else None


def _read_url(name: str, text: str) -> Member:
    """Read a record of the oldest kind: a connection URL that carries the URL of the API as its application name."""
    if len(text) > MEMBER_LIMIT:
        raise BrokenRecordError(f"{len(text)} characters, want at most {MEMBER_LIMIT}")
    try:
        parts = urlsplit(text)
        api_urls = parse_qs(parts.query, max_num_fields=64).get("application_name", [])
    except ValueError as error:
        raise BrokenRecordError(f"not a URL: {error}") from error
    conn_url = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    return Member(name=name, conn_url=conn_url, api_url=next(iter(api_urls), None))
