"""Rules on what a person asked of this node: reload, restart, reinitialize, restore."""

from dataclasses import replace
from typing import Final

from hacore.decide.handing_over import start_again
from hacore.decide.own import on_timeline_of
from hacore.decide.promoting import start_in_place
from hacore.decide.table import Table
from hacore.decide.upstreams import creation, is_ready_to_copy, wanted_upstream
from hacore.decide.views import Known, known, promoting
from hacore.model.cluster import Restore, RestoreState
from hacore.model.commands import CancelRestoreCommand, ReinitializeCommand, ReloadCommand, RestartCommand, RestoreCommand
from hacore.model.jobs import JobKind
from hacore.model.node import DirectoryState, Role, ServerState
from hacore.model.steps import AnswerCommand, Arm, CancelJob, Reload, RestartServer, StopMode, StopServer, WriteOwn
from hacore.model.world import Answer, World

_KEPT: Final = frozenset({DirectoryState.INITIALIZED, DirectoryState.BROKEN})  # as it was: no mark says that it is thrown away


def reload_requested(seen: Known) -> Answer | None:
    """Read the local configuration again."""
    command = next((command for command in seen.world.commands if isinstance(command, ReloadCommand)), None)
    if command is None:
        return None
    return Answer(reason="asked to reload", steps=(Reload(command=command.id),), wake_after_s=0)


def restart_ended(seen: Known) -> Answer | None:
    """Tell the person how the restart went."""
    outcome = seen.world.outcome(JobKind.RESTART)
    command = _restart(seen.world)
    if command is None or outcome is None or outcome.command != command.id or seen.world.job is not None:
        return None
    text = "restarted successfully" if outcome.is_done else "restart failed"
    return Answer(reason=text, steps=(AnswerCommand(id=command.id, done=outcome.is_done, text=text),), wake_after_s=0)


def restart_dropped(seen: Known) -> Answer | None:
    """A scheduled restart is dropped when its window has passed, the server was restarted meanwhile, or its time comes in a pause."""
    command = _restart(seen.world)
    if command is None or command.schedule is None or seen.world.job is not None:
        return None
    late_s = (seen.world.wall - command.schedule).total_seconds()
    started = seen.node.postmaster_start_time
    text = None
    if command.postmaster_start_time is not None and started is not None and started != command.postmaster_start_time:
        text = "the server was restarted meanwhile"
    elif late_s > seen.world.times.loop_wait_s:
        text = "its time has passed"
    elif late_s >= 0 and seen.world.policy.pause:
        text = "the cluster is in maintenance"
    if text is None:
        return None
    return Answer(reason=f"scheduled restart dropped: {text}", steps=(AnswerCommand(id=command.id, done=False, text=text),), wake_after_s=0)


def restart_refused(seen: Known) -> Answer | None:
    """Conditions are looked at when the restart is due. A paused primary without the lock could be stopped, but not started again."""
    command = _due_restart(seen.world)
    if command is None:
        return None
    text = None
    if seen.world.job is not None:
        text = f"{seen.world.job.kind} already in progress"
    elif seen.node.is_primary and seen.world.lease is None and seen.world.policy.pause:
        text = "the primary does not hold the leader lock and could not be started again"
    elif seen.node.server is ServerState.STARTING:
        text = "postgres is still starting"
    elif seen.node.server is not ServerState.RUNNING or not _conditions_hold(seen.world, command):
        text = "restart conditions are not satisfied"
    if text is None:
        return None
    return Answer(reason=text, steps=(AnswerCommand(id=command.id, done=False, text=text),), wake_after_s=0)


def restart_requested(seen: Known) -> Answer | None:
    """Restart in the same role; the primary keeps its lease meanwhile, and its guard is armed, also in a pause."""
    command, lease, fence = _due_restart(seen.world), seen.world.lease, seen.node.fence
    is_primary = seen.node.is_primary
    if command is None or (is_primary and lease is None):
        return None
    timeout_s = command.timeout_s or seen.world.policy.primary_start_timeout_s or None
    step = RestartServer(
        role=Role.PRIMARY if is_primary else Role.STANDBY,
        upstream=None if is_primary else wanted_upstream(seen.world, seen.cluster),
        timeout_s=timeout_s,
        command=command.id,
    )
    if is_primary and lease is not None and not (fence.armed and fence.token == lease.token):
        return Answer(reason="asked to restart", steps=(Arm(), step))  # the guard starts no primary but under its deadline
    return Answer(reason="asked to restart", steps=(step,))


def restart_goes_on(seen: Known) -> Answer | None:
    """A primary whose restart failed is started until it runs: in a pause nobody else does. It keeps its lock meanwhile."""
    world, holder = seen.world, promoting(seen.world)
    if holder is None or not world.policy.pause or world.job is not None or world.sightings.demoting is not None:
        return None
    if not world.is_down_for_restart or start_in_place(holder) is None:  # it is stopped, and its data are of this lease's primary
        return None
    return start_again(holder, "a restart")


def reinitialize_answered(seen: Known) -> Answer | None:
    """Tell the person that the old data are gone and new ones come, or why they were left as they are."""
    command, world = _reinitialize(seen.world), seen.world
    job, outcome = world.job, world.outcome(JobKind.CREATE_REPLICA)
    if command is None:
        return None
    if job is not None and job.command == command.id:
        if seen.node.directory.state in _KEPT:
            return Answer(reason="asked to reinitialize; asks the leader first", wake_after_s=0.2)
        error = None
    elif outcome is not None and outcome.command == command.id:
        error = outcome.error
    else:
        return None
    text = "reinitialize started" if error is None else f"reinitialize failed: {error}"
    return Answer(reason=text, steps=(AnswerCommand(id=command.id, done=error is None, text=text),), wake_after_s=0)


def reinitialize_refused(seen: Known) -> Answer | None:
    """Only a replica of a cluster with a leader is created again; work in flight only by force."""
    command, world = _reinitialize(seen.world), seen.world
    if command is None:
        return None
    text = None
    if seen.cluster.lock is None:
        text = "Cluster has no leader, can not reinitialize"
    elif seen.cluster.lock.holder == seen.name:
        text = "I am the leader, can not reinitialize"
    elif world.job is not None and not command.force and world.job.kind is not JobKind.STOP:
        text = f"{world.job.kind} already in progress"
    if text is None:
        return None
    return Answer(reason=text, steps=(AnswerCommand(id=command.id, done=False, text=text),), wake_after_s=0)


def reinitialize_requested(seen: Known) -> Answer | None:
    """Stop the server, then throw the data directory away and create it again, once the leader has answered."""
    command, world = _reinitialize(seen.world), seen.world
    if command is None or seen.cluster.lock is None:
        return None
    if world.job is not None:
        if world.job.kind is JobKind.STOP or world.job.cancelled:
            return Answer(reason=f"waits for the {world.job.kind} job", wake_after_s=1)
        return Answer(reason="asked to reinitialize", steps=(CancelJob(kind=world.job.kind, reason="reinitialize"),), wake_after_s=0.2)
    if not is_ready_to_copy(seen.cluster):
        return Answer(reason=f"asked to reinitialize; waits until {seen.cluster.lock.holder} is primary", wake_after_s=1)
    if seen.node.server is not ServerState.STOPPED:
        return Answer(reason="asked to reinitialize", steps=(StopServer(mode=StopMode.IMMEDIATE, reason="reinitialize"),))
    leader = seen.cluster.lock.holder
    step = creation(world, seen.cluster, leader, source=leader if command.from_leader else None, command=command.id)
    return Answer(reason="asked to reinitialize", steps=(step,), wake_after_s=0.2)


def restore_refused(seen: Known) -> Answer | None:
    """Only a leader that is primary, of a cluster in which nothing else goes on, is taken back to a point in time."""
    command, world = _restore(seen.world), seen.world
    if command is None:
        return None
    text = None
    if isinstance(command, CancelRestoreCommand):
        text = "no restore goes on"
    elif world.lease is None or not seen.node.is_primary:
        text = "this node is not the primary that leads"
    elif world.policy.pause:
        text = "the cluster is in maintenance: resume first"
    elif not seen.cluster.all_hacore:
        text = "a member of another product would not stand still"
    elif len({member.hacore_version for member in seen.cluster.members}) > 1:
        text = "the members are of several versions: bring them to one first"
    elif world.job is not None or world.sightings.demoting is not None:
        text = "other work goes on"
    elif seen.cluster.backups is not None and seen.cluster.backups.task is not None:
        text = f"{seen.cluster.backups.task.work} goes on on {seen.cluster.backups.task.member}"
    if text is None:
        return None
    return Answer(reason=text, steps=(AnswerCommand(id=command.id, done=False, text=text),), wake_after_s=0)


def restore_requested(seen: Known) -> Answer | None:
    """Note in the own record what is to be done: from now on everybody sees it together with the lock."""
    command, own = _restore(seen.world), seen.cluster.own
    if not isinstance(command, RestoreCommand) or own is None:
        return None
    restore = Restore(
        id=command.id,
        member=seen.name,
        state=RestoreState.STOPPING,
        backup=command.backup,
        target=command.target,
        along=command.along,
        keep=command.keep,
        asked_at=seen.world.wall,
    )
    noted = on_timeline_of(own, seen.node)  # renewals say nothing of it until the restore has ended
    steps = (
        WriteOwn(own=replace(noted, restore=restore, heartbeat=own.heartbeat + 1)),
        AnswerCommand(id=command.id, done=True, text="the restore begins"),
    )
    return Answer(reason=f"asked to restore to {command.target}", steps=steps, wake_after_s=0)


def _restore(world: World) -> RestoreCommand | CancelRestoreCommand | None:
    return next((command for command in world.commands if isinstance(command, RestoreCommand | CancelRestoreCommand)), None)


def _restart(world: World) -> RestartCommand | None:
    """Return the restart that is looked at: one that is due before one that waits for its time."""
    found = [command for command in world.commands if isinstance(command, RestartCommand)]
    return min(found, key=lambda command: command.schedule or world.wall, default=None)


def _due_restart(world: World) -> RestartCommand | None:
    command, outcome = _restart(world), world.outcome(JobKind.RESTART)
    if command is None or (command.schedule is not None and command.schedule > world.wall):
        return None
    if world.job is not None and world.job.kind is JobKind.RESTART:
        return None
    return None if outcome is not None and outcome.command == command.id else command


def _conditions_hold(world: World, command: RestartCommand) -> bool:
    node = world.node
    role = "primary" if node.is_primary else "replica"
    if command.role is not None and command.role != role:
        return False
    if command.postgres_version is not None and (node.server_version or 0) >= command.postgres_version:
        return False
    return bool(node.pending_restart) or not command.restart_pending


def _reinitialize(world: World) -> ReinitializeCommand | None:
    return next((command for command in world.commands if isinstance(command, ReinitializeCommand)), None)


ASKED: Final = Table(
    name="asked",
    narrow=known,
    rules=(
        reload_requested,
        restart_ended,
        restart_dropped,
        restart_refused,
        restart_requested,
        restart_goes_on,
        reinitialize_answered,
        reinitialize_refused,
        reinitialize_requested,
        restore_refused,
        restore_requested,
    ),
)
