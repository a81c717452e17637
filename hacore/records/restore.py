"""A restore in place, as it stands in the own record."""

from hacore.backup.target import parse_target
from hacore.convert import WrongValueError
from hacore.model.cluster import Restore, RestoreState
from hacore.model.recovery import RecoveryTarget
from hacore.records.json_text import BrokenRecordError, Fields, as_instant, as_text, as_timeline


def read_restore(found: Fields) -> Restore:
    """Read it.

    :raises BrokenRecordError: it cannot be understood: the cluster may be half way back, nobody may lead by what it says then.
    """
    return Restore(
        id=as_text(found.required("id")),
        member=as_text(found.required("member")),
        state=_state(found),
        backup=as_text(found.required("backup")),
        target=_target(found),
        along=as_timeline(found.required("along")),
        keep=found.flag("keep") is not False,
        asked_at=as_instant(found.required("asked_at")),
        timeline=found.timeline("timeline"),
        attempt=found.text("attempt"),
        error=found.text("error"),
    )


def restore_fields(restore: Restore) -> dict[str, object]:
    """Return its JSON object."""
    fields: dict[str, object] = {
        "id": restore.id,
        "member": restore.member,
        "state": str(restore.state),
        "backup": restore.backup,
        "to": str(restore.target),
        "inclusive": restore.target.inclusive,
        "target_timeline": restore.target.timeline,
        "along": restore.along,
        "keep": restore.keep,
        "asked_at": restore.asked_at.isoformat(),
        "timeline": restore.timeline,
        "attempt": restore.attempt,
        "error": restore.error[:1000] if restore.error else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _state(found: Fields) -> RestoreState:
    try:
        return RestoreState(as_text(found.required("state")))
    except ValueError as error:
        raise BrokenRecordError(f"restore: {error}") from error


def _target(found: Fields) -> RecoveryTarget:
    text, timeline = as_text(found.required("to")), found.text("target_timeline") or "latest"
    try:
        return parse_target(text, inclusive=found.flag("inclusive") is not False, timeline=timeline)
    except WrongValueError as error:
        raise BrokenRecordError(f"restore: to: want {error}") from error
