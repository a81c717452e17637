"""Backups over REST: what the repository holds, what goes on, what is due; and the wish to begin or to end something."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from hacore.backup.leading import Wanted, due_expiry, in_doubt, next_backup
from hacore.control.context import Body, Context, RefusedError, flag_of, only_known, text_of
from hacore.control.port import Backups
from hacore.control.wire import Reply, json_reply
from hacore.errors import DcsUnavailableError, HacoreError, PluginUnavailableError
from hacore.interfaces import Backup, BackupKind
from hacore.model.backups import BackupRecord, BackupTask, BackupWork
from hacore.model.lsn import Lsn
from hacore.model.world import World

_KEYS: Final = frozenset({"work", "kind", "backup", "restore", "member", "dry_run"})


def show_backups(context: Context, _: Body) -> Reply:
    """``GET /backups``."""
    backups = _configured(context)
    record, (world, _decision) = _record(context, backups), context.latest()
    try:
        found = backups.listed()
    except PluginUnavailableError as error:
        return json_reply({**_state(backups, record), "error": str(error)}, status=503)
    upcoming = next_backup(record, backups.policy(), found, now=context.clock.wall(), history=world.node.history)
    doubted = in_doubt(record, found)
    shown = [backup_document(one, record, is_in_doubt=one.id in doubted) for one in found]
    return json_reply({**_state(backups, record), "next_backup": _text(upcoming), "backups": shown})


def begin_backup(context: Context, body: Body) -> Reply:
    """``POST /backups``: begin a backup, a check or an expiry; answered as soon as it stands in the store."""
    backups = _configured(context)
    only_known(body, _KEYS)
    world, _ = context.latest()
    if world.lease is None:
        raise RefusedError(503, "this node does not lead: ask the leader")
    work = _work(text_of(body, "work"))
    if work is BackupWork.EXPIRE:
        return _expire(context, backups, world, dry_run=flag_of(body, "dry_run"))
    named = text_of(body, "backup")
    if work is BackupWork.VERIFY and named is not None:
        _find(backups, named)
    wanted = Wanted(
        work=work,
        reason="asked by a person",
        kind=_kind(text_of(body, "kind"), backups),
        backup=named,
        restores=flag_of(body, "restore"),
    )
    return _begun(_begin(backups, wanted, text_of(body, "member")))


def cancel_backup(context: Context, _: Body) -> Reply:
    """``DELETE /backups``: end what goes on."""
    try:
        task = _configured(context).cancel()
    except DcsUnavailableError:
        raise
    except HacoreError as error:
        raise RefusedError(503, str(error)) from error
    if task is None:
        return Reply(status=404, text="nothing goes on")
    return Reply(status=200, text=f"{task.work} on {task.member} is cancelled")


def backup_document(backup: Backup, record: BackupRecord, *, is_in_doubt: bool) -> dict[str, object]:
    """Return a backup as a JSON object, without what the tool does not tell."""
    verified = dict(record.verified).get(backup.id)
    found = {name: _plain(value) for name, value in asdict(backup).items()}
    found |= {"verified_at": _text(verified), "is_in_doubt": is_in_doubt}
    return {name: value for name, value in found.items() if value not in (None, {}, False)}


def _find(backups: Backups, name: str) -> None:
    """Refuse what is not there: as work that has failed it would stand in the way of the scheduled one."""
    try:
        found = backups.listed()
    except PluginUnavailableError as error:
        raise RefusedError(503, str(error)) from error
    if all(one.id != name for one in found):
        raise RefusedError(412, f"there is no backup {name}")


def _state(backups: Backups, record: BackupRecord) -> dict[str, object]:
    policy = backups.policy()
    return {
        "plugin": backups.plugin(),
        "schedule": policy.schedule.expression if policy.schedule else None,
        "task": None if record.task is None else _simple(asdict(record.task)),
        "results": [_simple(asdict(one)) for one in record.results],
        "newest_good": _text(record.newest_good),
        "window_start": _text(record.window_start),
    }


def _expire(context: Context, backups: Backups, world: World, *, dry_run: bool) -> Reply:
    record = _record(context, backups)
    try:
        found = backups.listed()
    except PluginUnavailableError as error:
        raise RefusedError(503, f"{error}: nothing expires by a list that cannot be read") from error
    node = world.node
    says = due_expiry(record, backups.policy(), found, now=context.clock.wall(), system_id=node.system_id, history=node.history)
    if says is None:
        raise RefusedError(412, "no retention is configured (hacore.backup.retention): nothing expires")
    plan = {
        "remove": [one.id for one in says.remove],
        "keep": [{"id": one.id, "reason": reason} for one, reason in says.keep],
    }
    if dry_run or not says.remove:
        return json_reply(plan)
    task = _begin(backups, Wanted(work=BackupWork.EXPIRE, reason="asked by a person", remove=tuple(one.id for one in says.remove)), None)
    return json_reply({**plan, "task": _simple(asdict(task))}, status=202)


def _record(context: Context, backups: Backups) -> BackupRecord:
    """What a person has just been told is done must be shown: the newest turn may be older. Without a store it is all there is."""
    try:
        return backups.record()
    except HacoreError:
        world, _ = context.latest()
        return (world.cluster.backups if world.cluster else None) or BackupRecord()


def _begin(backups: Backups, wanted: Wanted, member: str | None) -> BackupTask:
    try:
        return backups.begin(wanted, member=member)
    except DcsUnavailableError:
        raise
    except HacoreError as error:
        raise RefusedError(409, str(error)) from error


def _begun(task: BackupTask) -> Reply:
    return json_reply({"task": _simple(asdict(task))}, status=202)


def _configured(context: Context) -> Backups:
    if context.backups is None or context.backups.plugin() is None:
        raise RefusedError(404, "no plugin for backups is configured on this node (backup.plugin)")
    return context.backups


def _work(text: str | None) -> BackupWork:
    try:
        return BackupWork(text or BackupWork.BACKUP)
    except ValueError as error:
        raise RefusedError(400, f"work: want one of {', '.join(BackupWork)}") from error


def _kind(text: str | None, backups: Backups) -> BackupKind:
    try:
        return backups.policy().kind if text is None else BackupKind(text)
    except ValueError as error:
        raise RefusedError(400, f"kind: want one of {', '.join(BackupKind)}") from error


def _simple(found: dict[str, Any]) -> dict[str, object]:
    return {name: _plain(value) for name, value in found.items() if value not in (None, (), "", False)}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return _simple(value)
    return str(value) if isinstance(value, Lsn) else list(value) if isinstance(value, tuple) else value


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
