"""Taking a cluster back to a point in time: the plan first, then the wish, which only a person who has seen the plan may have."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hacore.backup.choice import Chosen, NoneFits, choose
from hacore.backup.leading import in_doubt
from hacore.backup.target import parse_target
from hacore.control.context import STORE_S, Body, Context, RefusedError, flag_of, only_known, text_of
from hacore.control.port import Backups
from hacore.control.wire import Reply, json_reply
from hacore.convert import WrongValueError
from hacore.errors import PluginUnavailableError
from hacore.interfaces import Backup, Dcs, Put, Refused, WriteRequest
from hacore.model.backups import BackupRecord
from hacore.model.cluster import OwnRecord, Restore, RestoreState
from hacore.model.commands import CancelRestoreCommand, RestoreCommand
from hacore.model.jobs import JobKind
from hacore.model.recovery import CURRENT_TIMELINE, LATEST_TIMELINE, RecoveryTarget
from hacore.model.timeline import TimelineHistory
from hacore.model.world import World
from hacore.records import names
from hacore.records.cluster import read_cluster
from hacore.records.own import own_json
from hacore.records.restore import restore_fields

_KEYS: Final = frozenset({"to", "inclusive", "timeline", "backup", "discard", "dry_run", "confirm"})
_SPARE: Final = 1.2
_BEGUN_S: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a restore would do."""

    target: RecoveryTarget
    chosen: Chosen
    along: int
    keep: bool
    free_bytes: int | None
    needed_bytes: int | None


def restore(context: Context, body: Body) -> Reply:
    """``POST /restore``: with ``dry_run`` the plan alone, else the restore begins; ``confirm`` has to be the cluster's name."""
    only_known(body, _KEYS)
    world, _ = context.latest()
    plan = _plan(context, body, world)
    _refuse_to_keep(context, plan)
    _refuse_to_give_up(plan, world)
    document = _document(plan, world)
    if flag_of(body, "dry_run"):
        return json_reply(document)
    if text_of(body, "confirm") != world.me.scope:
        raise RefusedError(412, f"confirm: want the name of the cluster, {world.me.scope}: everything after {plan.target} is given up")
    command = RestoreCommand(
        id=context.new_id(),
        received_at=context.clock.now(),
        backup=plan.chosen.backup.id,
        target=plan.target,
        along=plan.along,
        keep=plan.keep,
    )
    context.loop.submit(command)
    answer = context.loop.result(command.id, _BEGUN_S)
    if answer is None:
        context.loop.cancel(command.id)
        raise RefusedError(503, "the restore was not begun in time")
    done, text = answer
    if not done:
        raise RefusedError(409, text)
    return json_reply({**document, "id": command.id}, status=202)


def show_restore(context: Context, _: Body) -> Reply:
    """``GET /restore``: the newest one, and how far it is."""
    world, decision = context.latest()
    own = world.cluster.own if world.cluster else None
    if own is None or own.restore is None:
        return Reply(status=404, text="this cluster was never restored in place")
    job = world.job if world.job is not None and world.job.kind is JobKind.RESTORE else None
    said = job.progress if job is not None else decision.reason if own.restore.is_active else None
    return json_reply({**restore_fields(own.restore), "progress": said})


def cancel_restore(context: Context, _: Body) -> Reply:
    """``DELETE /restore``: by the leader that restores; where nobody leads, by whoever is asked."""
    world, _decision = context.latest()
    if world.lease is None:
        return context.loop.call(lambda dcs, now: _give_up(context, dcs, now), STORE_S)
    command = CancelRestoreCommand(id=context.new_id(), received_at=context.clock.now())
    context.loop.submit(command)
    done, text = context.loop.result(command.id, _BEGUN_S) or (False, "the agent did not answer in time")
    return Reply(status=200 if done else 409, text=text)


def _give_up(context: Context, dcs: Dcs, world: World) -> Reply:
    """The member that restores has gone for good: the others go on as they were."""
    snapshot = dcs.snapshot(timeout_s=context.budget_s(world))
    view, found = read_cluster(snapshot), snapshot.records.get(names.OWN)
    if view.own is None or found is None or view.own.restore is None or not view.own.restore.is_active:
        return Reply(status=404, text="no restore goes on")
    if view.lock is not None:
        return Reply(status=409, text=f"{view.lock.holder} restores: ask there")
    if view.own.restore.member == world.me.name:  # it alone has what was moved aside, and puts it back under its lock
        return Reply(status=409, text=f"{world.me.name} restores and takes the lock again before it can put back what was there: ask again")
    value = own_json(_given_up(view.own, view.own.restore), found.value)
    put = Put(name=names.OWN, value=value, expected=found.version)
    if isinstance(dcs.write(WriteRequest(puts=(put,)), timeout_s=context.budget_s(world)), Refused):
        return Reply(status=409, text="the record was changed meanwhile")
    return Reply(status=200, text="the restore is given up: the members go on with what they have")


def _given_up(own: OwnRecord, restore: Restore) -> OwnRecord:
    given_up = replace(restore, state=RestoreState.FAILED, error=f"given up while {restore.member} was away")
    return replace(own, restore=given_up, heartbeat=own.heartbeat + 1)


def _plan(context: Context, body: Body, world: World) -> Plan:
    if context.backups is None or context.backups.plugin() is None:
        raise RefusedError(404, "no plugin for backups is configured on this node (backup.plugin)")
    own = world.cluster.own if world.cluster is not None else None
    if own is not None and own.restore is not None and own.restore.is_active:
        raise RefusedError(409, f"{own.restore.member} takes the cluster back to {own.restore.target} already: it can be ended (--cancel)")
    if world.lease is None or not world.node.is_primary:
        raise RefusedError(503, "this node is not the primary that leads: ask the leader")
    target = _target(body)
    if target.lsn is not None and world.node.lsn is not None and target.lsn > world.node.lsn:
        raise RefusedError(412, f"{target} has yet to come: the server is at {world.node.lsn}")
    try:
        backups = context.backups.listed()
    except PluginUnavailableError as error:
        raise RefusedError(503, str(error)) from error
    history = world.node.history or TimelineHistory(timeline=world.node.timeline or 1)
    way = _way(context.backups, target, history, backups)
    named, doubted = text_of(body, "backup"), _doubted(world, backups)
    chosen = choose(backups, target, history=way, named=named, system_id=world.node.system_id, now=context.clock.wall(), doubted=doubted)
    if isinstance(chosen, NoneFits):
        raise RefusedError(412, str(chosen))
    if chosen.backup.id in doubted and named is None and flag_of(body, "discard"):
        raise RefusedError(412, f"backup {chosen.backup.id} is in doubt: keep the old directory, or name it (--backup)")
    along = {LATEST_TIMELINE: history.timeline, CURRENT_TIMELINE: chosen.backup.timeline or history.timeline}.get(target.timeline)
    return Plan(
        target=target,
        chosen=chosen,
        along=int(target.timeline) if along is None else along,
        keep=not flag_of(body, "discard"),
        free_bytes=world.node.directory.free_bytes,
        needed_bytes=None if chosen.room_bytes is None else int(chosen.room_bytes * _SPARE),
    )


def _doubted(world: World, backups: Sequence[Backup]) -> frozenset[str]:
    record = world.cluster.backups if world.cluster is not None else None
    return in_doubt(record or BackupRecord(), backups)


def _way(backups: Backups, target: RecoveryTarget, own: TimelineHistory, listed: Sequence[Backup]) -> TimelineHistory:
    """Return the history by which a backup is chosen: that of a branch that was given up stands in no later one.

    Without it only a backup of the branch itself leads there.
    """
    if target.timeline in {LATEST_TIMELINE, CURRENT_TIMELINE} or own.has(int(target.timeline)):
        return own
    timeline = int(target.timeline)
    found = backups.history_of(timeline)
    if found is None and all(one.timeline not in {timeline, None} for one in listed):
        raise RefusedError(412, f"the archive did not give {timeline:08X}.history: it has none, or does not answer")
    return found or own


def _target(body: Body) -> RecoveryTarget:
    to = text_of(body, "to")
    if to is None:
        raise RefusedError(400, "to: want a target")
    inclusive = body.get("inclusive", True)
    if not isinstance(inclusive, bool):
        raise RefusedError(400, "inclusive: want true or false")
    try:
        return parse_target(to, inclusive=inclusive, timeline=text_of(body, "timeline") or LATEST_TIMELINE)
    except WrongValueError as error:
        raise RefusedError(400, f"to: want {error}") from error


def _refuse_to_keep(context: Context, plan: Plan) -> None:
    """The old directory is given up on purpose only, and nothing stops before that is said."""
    if not plan.keep:
        return
    reason = context.backups.why_not_aside() if context.backups is not None else None
    if reason is not None:
        raise RefusedError(412, f"{reason}: give it up (--discard-old-data), or go on by hand")
    if plan.free_bytes is not None and plan.needed_bytes is not None and plan.free_bytes < plan.needed_bytes:
        free, needed = plan.free_bytes >> 20, plan.needed_bytes >> 20
        raise RefusedError(
            412,
            f"{free} MiB are free, a copy beside the old directory needs {needed}: make room, or give the old one up (--discard-old-data)",
        )


def _refuse_to_give_up(plan: Plan, world: World) -> None:
    """What waits for an archive that takes nothing is in the old directory alone."""
    fault = _archive_fault(world)
    if fault is not None and not plan.keep:
        raise RefusedError(412, f"WAL is not archived ({fault}) and would be lost with the old directory: mend the archive, or keep it")


def _archive_fault(world: World) -> str | None:
    return world.node.archive.fault if world.node.archive is not None else None


def _document(plan: Plan, world: World) -> dict[str, object]:
    backup = plan.chosen.backup
    return {
        "scope": world.me.scope,
        "member": world.me.name,
        "to": str(plan.target),
        "inclusive": plan.target.inclusive,
        "backup": backup.id,
        "backup_ended_at": backup.stopped_at.isoformat() if backup.stopped_at else None,
        "along": plan.along,
        "stops": [one.name for one in world.others],
        "keeps_old_directory": plan.keep,
        "free_bytes": plan.free_bytes,
        "needed_bytes": plan.needed_bytes,
        "remarks": [*plan.chosen.remarks, *_not_now(world)],
    }


def _not_now(world: World) -> Iterator[str]:
    """Say what has to end first: it may, before anybody says yes."""
    if world.policy.pause:
        yield "the cluster is in maintenance: nothing is restored before it is resumed"
    task = world.cluster.backups.task if world.cluster is not None and world.cluster.backups is not None else None
    fault = _archive_fault(world)
    if fault is not None:
        yield f"WAL is not archived ({fault}): what waits cannot be gone back to, it stays in the old directory"
    if task is not None:
        yield f"{task.work} goes on on {task.member}: nothing is restored before it has ended"
