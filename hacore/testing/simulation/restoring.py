"""A restore on one machine, in virtual time: half of the WAL is what the backup and the archive hold of it."""

from collections.abc import Callable

from hacore.model.node import DirectoryState
from hacore.model.steps import RestoreFromBackup, UndoRestore
from hacore.testing.simulation.host import Host
from hacore.testing.simulation.wal import Directory, Log, RecordKind


class JobFailedError(Exception):
    """The work did not come to its end."""


def restore(host: Host, step: RestoreFromBackup, *, at: Callable[[], float], work: Callable[[], None]) -> None:
    """Put another directory in the place of the one that is there; a failure puts it back.

    :raises JobFailedError: the tool has failed, or the work was cancelled.
    """
    before = host.asides.setdefault(step.id, host.server.directory)
    host.server.directory = Directory(state=DirectoryState.UNFINISHED, mark="restore", log=Directory.empty().log)
    try:
        work()
    except JobFailedError:
        _put_back(host, step.id)
        raise
    if host.job_faults.copy_fails > 0:
        host.job_faults.copy_fails -= 1
        _put_back(host, step.id)
        raise JobFailedError("the tool has failed")
    log = Log(before.log.records[: max(len(before.log.records) // 2, 1)])
    host.server.directory = Directory(state=DirectoryState.UNFINISHED, mark="restore", log=log, system_id=before.system_id)
    host.server.judge.promoting(host.server, step.timeline)
    log.switch_timeline(step.timeline, at())
    directory = Directory(state=DirectoryState.INITIALIZED, log=log, system_id=before.system_id)
    directory.note_checkpoint(log.checkpoint(RecordKind.SHUTDOWN, at()), "shut down")
    host.server.directory = directory


def undo(host: Host, step: UndoRestore) -> None:
    """Put back what an attempt of an agent before this one has moved aside."""
    if step.id in host.asides:
        host.server.vanish()
        _put_back(host, step.id)


def _put_back(host: Host, restore_id: str) -> None:
    host.server.directory = host.asides.pop(restore_id)
