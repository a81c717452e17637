"""The leader's position: ``status``, and ``optime/leader`` which stood for it before (interface reference 3.1)."""

from typing import Final

from hacore.model.cluster import Status
from hacore.records.json_text import BrokenRecordError, as_lsn, merge, parse_fields

_KNOWN: Final = frozenset({"optime", "slots", "retain_slots"})
_DIGITS_MAX: Final = 20


def read_status(text: str) -> Status:
    """Read ``status``.

    :raises BrokenRecordError: it cannot be understood.
    """
    found = parse_fields(text)
    return Status(
        optime=found.lsn("optime"),
        slots=tuple((slot, as_lsn(lsn)) for slot, lsn in found.mapping("slots").items()),
        retain_slots=found.texts("retain_slots"),
    )


def read_optime(text: str) -> Status:
    """Read ``optime/leader``: decimal digits.

    :raises BrokenRecordError: it is something else.
    """
    digits = text.strip()
    if not digits.isascii() or not digits.isdigit() or len(digits) > _DIGITS_MAX:
        raise BrokenRecordError("not a decimal number")
    return Status(optime=as_lsn(int(digits)))


def status_json(status: Status, previous: str | None = None) -> str:
    """Write ``status``, with the unknown fields of the ``previous`` one."""
    fields: dict[str, object] = {"optime": status.optime or 0}
    if status.slots:
        fields["slots"] = dict(status.slots)
    if status.retain_slots:
        fields["retain_slots"] = list(status.retain_slots)
    return merge(fields, previous, _KNOWN)
