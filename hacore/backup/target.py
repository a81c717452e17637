"""A recovery target as people write it, and as PostgreSQL's settings say it."""

import re
from datetime import UTC, datetime
from typing import Final

from hacore.convert import WrongValueError
from hacore.model.lsn import Lsn
from hacore.model.recovery import CURRENT_TIMELINE, LATEST_TIMELINE, RecoveryTarget, TargetAction, TargetKind

_LSN: Final = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")
_TIMELINE_MAX: Final = (1 << 32) - 1
_XID_MAX: Final = (1 << 64) - 1
_NAME_BYTES: Final = 63  # MAXFNAMELEN of restore points
_UTC: Final = " UTC"  # as PostgreSQL's log and our own tables write it
_WANTED: Final = "latest, immediate, a time like 2030-01-31T23:59:00+00:00, a position like 0/3000000, xid:NUMBER or name:RESTORE-POINT"


def parse_target(
    text: str, *, inclusive: bool = True, timeline: str = LATEST_TIMELINE, action: TargetAction = TargetAction.PROMOTE
) -> RecoveryTarget:
    """Read a target: its kind in front (``lsn:0/3000000``), or alone where nothing else can be meant.

    :raises WrongValueError: it is none, or a time of which nobody can know when it is.
    """
    found = text.strip()
    kind, value = _split(found)
    point = {"inclusive": inclusive, "timeline": _timeline(timeline), "action": action}
    match kind:
        case TargetKind.LATEST | TargetKind.IMMEDIATE:
            return RecoveryTarget(kind=kind, **point)  # type: ignore[arg-type]  # the names are those of the fields
        case TargetKind.TIME:
            return RecoveryTarget(kind=kind, time=_time(value), **point)  # type: ignore[arg-type]  # the same
        case TargetKind.LSN:
            return RecoveryTarget(kind=kind, lsn=_lsn(value), **point)  # type: ignore[arg-type]  # the same
        case TargetKind.XID:
            return RecoveryTarget(kind=kind, xid=_xid(value), **point)  # type: ignore[arg-type]  # the same
        case TargetKind.NAME:
            return RecoveryTarget(kind=kind, name=_name(value), **point)  # type: ignore[arg-type]  # the same


def recovery_settings(target: RecoveryTarget, *, timeline: int | None = None) -> dict[str, str]:
    """Return PostgreSQL's settings.

    :param timeline: the number to recover along, where it is known: it stands for ``latest``, which PostgreSQL would look for itself.
    """
    settings = {
        "recovery_target_timeline": str(timeline) if timeline is not None else target.timeline,
        "recovery_target_inclusive": "on" if target.inclusive else "off",
        "recovery_target_action": str(target.action),
    }
    match target.kind:
        case TargetKind.TIME if target.time is not None:
            settings["recovery_target_time"] = target.time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
        case TargetKind.LSN:
            settings["recovery_target_lsn"] = str(target.lsn)
        case TargetKind.XID:
            settings["recovery_target_xid"] = str(target.xid)
        case TargetKind.NAME:
            settings["recovery_target_name"] = target.name or ""
        case TargetKind.IMMEDIATE:
            settings["recovery_target"] = "immediate"
        case _:
            pass
    return settings


def _split(text: str) -> tuple[TargetKind, str]:
    head, colon, rest = text.partition(":")
    if text in {TargetKind.LATEST, TargetKind.IMMEDIATE}:
        return TargetKind(text), ""
    if colon and head in {TargetKind.TIME, TargetKind.LSN, TargetKind.XID, TargetKind.NAME}:
        return TargetKind(head), rest.strip()
    if _LSN.fullmatch(text):
        return TargetKind.LSN, text
    if text[:4].isdigit() and text[4:5] == "-":
        return TargetKind.TIME, text
    raise WrongValueError(_WANTED)


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(f"{text.removesuffix(_UTC).rstrip()}Z" if text.endswith(_UTC) else text)
        if found.tzinfo is not None:
            found.astimezone(UTC)  # as PostgreSQL is told it: a zone can make it earlier or later than any time there is
    except (ValueError, OverflowError) as error:
        raise WrongValueError("a time like 2030-01-31T23:59:00+00:00") from error
    if found.utcoffset() is None:
        raise WrongValueError("a time with its zone, like 2030-01-31T23:59:00+00:00: without one nobody can know when it is")
    return found


def _lsn(text: str) -> Lsn:
    try:
        return Lsn.parse(text)
    except ValueError as error:
        raise WrongValueError("a position like 0/3000000") from error


def _xid(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:21]) <= _XID_MAX):
        raise WrongValueError("the number of a transaction")
    return int(text)


def _name(text: str) -> str:
    if not text or not text.isprintable() or len(text.encode()) > _NAME_BYTES:
        raise WrongValueError(f"the name of a restore point, at most {_NAME_BYTES} bytes")
    return text


def _timeline(text: str) -> str:
    if text in {LATEST_TIMELINE, CURRENT_TIMELINE}:
        return text
    if text.isascii() and text.isdigit() and 0 < int(text[:11]) <= _TIMELINE_MAX:
        return str(int(text))
    raise WrongValueError("a timeline: latest, current or a number")
