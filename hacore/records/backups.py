"""The record ``backup``: hacore's own, beside those of the field."""

from datetime import datetime
from typing import Final

from hacore.model.backups import BackupRecord, BackupResult, BackupTask, BackupWork, Doubt
from hacore.records.json_text import BrokenRecordError, Fields, as_instant, as_list, as_object, as_text, as_whole, merge, parse_fields

_KNOWN: Final = frozenset({"task", "results", "verified", "doubts", "newest_good", "window_start", "listed"})
_TEXT_LIMIT: Final = 1000


def read_backups(text: str) -> BackupRecord:
    """Read the record.

    :raises BrokenRecordError: it cannot be understood; nothing is begun by what it says then.
    """
    found = parse_fields(text)
    task = found.raw("task")
    return BackupRecord(
        task=None if task is None else _read_task(Fields(as_object(task))),
        results=tuple(_read_result(Fields(as_object(one))) for one in found.items("results")),
        verified=tuple(_read_verified(one) for one in found.items("verified")),
        doubts=tuple(_read_doubt(Fields(as_object(one))) for one in found.items("doubts")),
        newest_good=found.instant("newest_good"),
        window_start=found.instant("window_start"),
        listed=found.whole("listed"),
    )


def backups_json(record: BackupRecord, previous: str | None = None) -> str:
    """Write the record, with the unknown fields of the ``previous`` one."""
    fields: dict[str, object] = {
        "task": None if record.task is None else _task(record.task),
        "results": [_result(one) for one in record.results],
        "verified": [[name, at.isoformat()] for name, at in record.verified],
        "doubts": [_doubt(one) for one in record.doubts],
        "newest_good": None if record.newest_good is None else record.newest_good.isoformat(),
        "window_start": None if record.window_start is None else record.window_start.isoformat(),
        "listed": record.listed,
    }
    return merge({name: value for name, value in fields.items() if value not in (None, [])}, previous, _KNOWN)


def _task(task: BackupTask) -> dict[str, object]:
    fields: dict[str, object] = {
        "id": task.id,
        "work": str(task.work),
        "member": task.member,
        "token": task.token,
        "asked_at": task.asked_at.isoformat(),
        "reason": task.reason,
        "kind": task.kind,
        "backup": task.backup,
        "restores": task.restores or None,
        "remove": list(task.remove) or None,
        "taken": task.taken or None,
        "beat": task.beat,
        "progress": task.progress[:_TEXT_LIMIT] or None,
        "tried": list(task.tried) or None,
        "pinned": task.is_pinned or None,
        "made": None if task.made is None else _result(task.made),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _read_task(found: Fields) -> BackupTask:
    made = found.raw("made")
    return BackupTask(
        id=as_text(found.required("id")),
        work=_work(found),
        member=as_text(found.required("member")),
        token=as_whole(found.required("token")),
        asked_at=as_instant(found.required("asked_at")),
        reason=found.text("reason") or "",
        kind=found.text("kind") or "auto",
        backup=found.text("backup"),
        restores=found.flag("restores") or False,
        remove=found.texts("remove"),
        taken=found.flag("taken") or False,
        beat=found.whole("beat") or 0,
        progress=found.text("progress") or "",
        tried=found.texts("tried"),
        is_pinned=found.flag("pinned") or False,
        made=None if made is None else _read_result(Fields(as_object(made))),
    )


def _result(result: BackupResult) -> dict[str, object]:
    fields: dict[str, object] = {
        "id": result.id,
        "work": str(result.work),
        "member": result.member,
        "began_at": result.began_at.isoformat(),
        "ended_at": result.ended_at.isoformat(),
        "error": None if result.error is None else result.error[:_TEXT_LIMIT],
        "detail": result.detail[:_TEXT_LIMIT] or None,
        "backup": result.backup,
        "failures": result.failures or None,
        "asked_at": None if result.asked_at is None else result.asked_at.isoformat(),
        "found_bad": result.is_found_bad or None,
        "may_lack_wal": result.may_lack_wal or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _read_result(found: Fields) -> BackupResult:
    return BackupResult(
        id=as_text(found.required("id")),
        work=_work(found),
        member=as_text(found.required("member")),
        began_at=as_instant(found.required("began_at")),
        ended_at=as_instant(found.required("ended_at")),
        error=found.text("error"),
        detail=found.text("detail") or "",
        backup=found.text("backup"),
        failures=found.whole("failures") or 0,
        asked_at=found.instant("asked_at"),
        is_found_bad=found.flag("found_bad") or False,
        may_lack_wal=found.flag("may_lack_wal") or False,
    )


def _doubt(doubt: Doubt) -> dict[str, object]:
    fields: dict[str, object] = {"backup": doubt.backup, "lacks": list(doubt.lacks) or None, "unknown": doubt.is_unknown or None}
    return {name: value for name, value in fields.items() if value is not None}


def _read_doubt(found: Fields) -> Doubt:
    return Doubt(backup=as_text(found.required("backup")), lacks=found.texts("lacks"), is_unknown=found.flag("unknown") or False)


def _read_verified(row: object) -> tuple[str, datetime]:
    found = as_list(row)
    if len(found) != 2:  # noqa: PLR2004 - a pair
        raise BrokenRecordError("verified: want a backup and a time")
    return as_text(found[0]), as_instant(found[1])


def _work(found: Fields) -> BackupWork:
    try:
        return BackupWork(as_text(found.required("work")))
    except ValueError as error:
        raise BrokenRecordError(f"work: {error}") from error
