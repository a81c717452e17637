"""What every worker has to know of a step that is long work, the real one and the simulated one alike."""

from typing import Final

from hacore.model.jobs import JobKind
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
    StopServer,
    TakeCheckpoint,
    UndoRestore,
)

_KINDS: Final = {
    Bootstrap: JobKind.BOOTSTRAP,
    CreateReplica: JobKind.CREATE_REPLICA,
    Rewind: JobKind.REWIND,
    RecoverFromCrash: JobKind.CRASH_RECOVERY,
    RestoreFromBackup: JobKind.RESTORE,
    UndoRestore: JobKind.RESTORE,
    StartServer: JobKind.START,
    StopServer: JobKind.STOP,
    RestartServer: JobKind.RESTART,
    Promote: JobKind.PROMOTE,
    TakeCheckpoint: JobKind.CHECKPOINT,
    DrainTraffic: JobKind.DRAIN,
}


def kind_of(step: JobStep) -> JobKind:
    """Return the kind of work that a step is."""
    return _KINDS[type(step)]


def enables_writes(step: JobStep) -> bool:
    """Tell whether the work makes a primary, so that it must not outlive the lease."""
    match step:
        case StartServer(role=role) | RestartServer(role=role):
            return role is Role.PRIMARY
        case _:
            return isinstance(step, Bootstrap | Promote | RestoreFromBackup)
