"""Long work by its step: each carried out by the module that knows it."""

from typing import assert_never

from hacore.errors import DataDirectoryError
from hacore.model.node import Role
from hacore.model.steps import (
    Bootstrap,
    CreateReplica,
    DrainTraffic,
    JobStep,
    Promote,
    RecoverFromCrash,
    RestartServer,
    RestoreFromBackup,
    Rewind,
    StartServer,
    StopMode,
    StopServer,
    TakeCheckpoint,
    UndoRestore,
)
from hacore.postgres.bootstrap import bootstrap
from hacore.postgres.crash_recovery import recover
from hacore.postgres.instance import Instance
from hacore.postgres.job import JobHandle
from hacore.postgres.leftovers import push_leftovers
from hacore.postgres.promotion import forget_upstream, promote
from hacore.postgres.replica import create_replica
from hacore.postgres.restore import restore, undo
from hacore.postgres.rewind import rewind
from hacore.postgres.start import Start, start
from hacore.postgres.stop import stop, take_checkpoint
from hacore.postgres.surroundings import Surroundings


def carry_out(instance: Instance, job: JobHandle, step: JobStep, around: Surroundings) -> None:
    """Do what the step says; done before means done again without harm."""
    match step:
        case Bootstrap() | CreateReplica() | RestoreFromBackup() | UndoRestore():
            _fill(instance, job, step, around)
        case Rewind():
            rewind(instance, job, step, around)
        case RecoverFromCrash():
            recover(instance, job)
        case StartServer():
            _start(instance, job, step, around)
        case StopServer():
            stop(instance, job, step, around)
        case RestartServer():
            _restart(instance, job, step, around)
        case Promote():
            promote(instance, job, step, around)
        case TakeCheckpoint() | DrainTraffic():
            _prepare_stop(instance, job, step, around)
        case _:
            assert_never(step)


def _fill(
    instance: Instance, job: JobHandle, step: Bootstrap | CreateReplica | RestoreFromBackup | UndoRestore, around: Surroundings
) -> None:
    match step:
        case Bootstrap():
            bootstrap(instance, job, around)
        case CreateReplica():
            create_replica(instance, job, step, around)
        case RestoreFromBackup():
            restore(instance, job, step, around)
        case UndoRestore():
            undo(instance, step)


def _start(instance: Instance, job: JobHandle, step: StartServer | RestartServer, around: Surroundings) -> None:
    token = around.token() if step.role is Role.PRIMARY else None
    if step.role is Role.PRIMARY and token is None:
        raise DataDirectoryError("the lease is not held any more, no primary is started")
    if step.role is Role.STANDBY and not instance.processes.alive():
        push_leftovers(instance, job, stops_at_conflict=False)
    upstream = step.upstream or (instance.upstream() if step.role is Role.STANDBY else None)
    start(instance, job, Start(role=step.role, token=token, upstream=upstream, timeout_s=step.timeout_s))


def _prepare_stop(instance: Instance, job: JobHandle, step: TakeCheckpoint | DrainTraffic, around: Surroundings) -> None:
    if isinstance(step, DrainTraffic):
        around.drain(step, job)
    else:
        _checkpoint(instance, job, step, around)


def _checkpoint(instance: Instance, job: JobHandle, step: TakeCheckpoint, around: Surroundings) -> None:
    if step.switchover_to is not None:
        around.before_switchover(step.switchover_to)
    take_checkpoint(instance, job)
    forget_upstream(instance)


def _restart(instance: Instance, job: JobHandle, step: RestartServer, around: Surroundings) -> None:
    stop(instance, job, StopServer(mode=StopMode.FAST, reason="restart", checkpoint_first=True), around)
    job.check()
    _start(instance, job, step, around)
