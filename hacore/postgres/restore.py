"""A cluster's data goes back to a point in time, in place: the old directory is kept aside, and put back where the restore fails."""

import json
import logging
import os
from pathlib import Path
from typing import Final

import psycopg2

from hacore.errors import DataDirectoryError, HacoreError, JobCancelledError
from hacore.guard.client import GuardError
from hacore.model.steps import RestoreFromBackup, UndoRestore
from hacore.postgres.archiver import ready_files
from hacore.postgres.cleaning import clean, refuse_foreign
from hacore.postgres.crash_recovery import CLEAN
from hacore.postgres.directory import is_empty
from hacore.postgres.files import read_if_there, remove_durably, sync_directory, write_durably
from hacore.postgres.filling import Filling
from hacore.postgres.instance import Instance
from hacore.postgres.job import JobHandle
from hacore.postgres.launcher import asked
from hacore.postgres.leftovers import push_leftovers
from hacore.postgres.recovery import Recovery, recover
from hacore.postgres.surroundings import RestoreOrder, Surroundings
from hacore.postgres.tablespaces import links

logger = logging.getLogger(__name__)

MARK: Final = "restore"
_FILES: Final = "restore.files"  # below the state directory
_MOVING: Final = "restore, the old directory is being renamed"  # and while there is none aside, it is the one that is there


def restore(instance: Instance, job: JobHandle, step: RestoreFromBackup, around: Surroundings) -> None:
    """Restore, recover to the target, and leave the server running as primary on a new timeline.

    Done again after a crash it begins anew: what was moved aside stays there.

    :raises DataDirectoryError: it failed. What was there is there again, where it was to be kept.
    """
    token = around.token()
    if token is None:
        raise JobCancelledError("a cluster is restored under a lease only")
    aside = aside_of(instance, step.id)
    if not aside.exists():  # else an attempt before this one has moved it
        refuse_foreign(instance, step.system_id)
    try:
        order = RestoreOrder(
            data_dir=str(instance.layout.data_dir),
            backup=step.backup,
            target=step.target,
            system_id=step.system_id,
            make_room=lambda: _make_room(instance, job, aside, keep=step.keep),
        )
        own = _own_files(instance)
        command = around.restore_files(order, job).restore_command
        instance.files.put_back(own)
        how = Recovery(
            target=step.target,
            during=MARK,
            along=step.along,
            timeline=step.timeline,
            system_id=step.system_id,
            restore_command=command,
        )
        recover(instance, job, token, how, around)
    except (HacoreError, GuardError, OSError, psycopg2.Error) as error:
        fault = _put_back(instance, aside)
        if fault is not None:
            raise DataDirectoryError(f"{error}; {fault}") from error
        raise
    instance.files.keep_copies()
    Filling(instance.layout.state_dir).forget()
    instance.mark.clear()
    remove_durably(_files_of(instance))
    logger.warning("the cluster was restored, what was there before is kept", extra={"directory": str(aside) if aside.exists() else ""})


def undo(instance: Instance, step: UndoRestore) -> None:
    """Put back what an attempt has moved aside whose agent has died.

    :raises DataDirectoryError: it could not be put back.
    """
    fault = _put_back(instance, aside_of(instance, step.id))
    if fault is not None:
        raise DataDirectoryError(fault)


def aside_of(instance: Instance, restore_id: str) -> Path:
    """Return where the old directory of a restore is kept."""
    data_dir = instance.layout.data_dir
    return data_dir.with_name(f"{data_dir.name}.before-{restore_id[:8]}")


def why_not_aside(instance: Instance) -> str | None:
    """Return why the data directory could not be kept under another name and made anew where it was; ``None``: it can."""
    data_dir = instance.layout.data_dir
    if links(data_dir):
        return "there are tablespaces, which cannot be kept aside"
    if data_dir.is_symlink() or os.path.ismount(data_dir):
        return "the data directory is a mount point or a link, which cannot be kept aside"
    if data_dir.exists() and not os.access(data_dir.parent, os.W_OK | os.X_OK):
        return f"nothing in {data_dir.parent} can be renamed by this user: the data directory cannot be kept aside"
    return None


def _own_files(instance: Instance) -> dict[Path, str]:
    """Return the configuration files of this node as they were before the first attempt: the backup's are of another day, or node."""
    path = _files_of(instance)
    if instance.mark.read() is None:  # nothing was touched yet
        write_durably(path, json.dumps({str(one): text for one, text in instance.files.take().items()}))
    return {Path(name): text for name, text in json.loads(read_if_there(path) or "{}").items()}


def _files_of(instance: Instance) -> Path:
    return instance.layout.state_dir / _FILES


def _make_room(instance: Instance, job: JobHandle, aside: Path, *, keep: bool) -> None:
    """Empty the directory. Until then nothing was touched: a repository that does not answer changes nothing."""
    if instance.mark.read() is None and not is_empty(instance.layout.data_dir):
        push_leftovers(instance, job, stops_at_conflict=False)
        if not keep:
            _refuse_to_lose_wal(instance)
    if keep:
        _keep_aside(instance, aside)
    instance.mark.set(MARK)
    clean(instance)


def _refuse_to_lose_wal(instance: Instance) -> None:
    """The target may lie in what only this directory has.

    :raises DataDirectoryError: there is such WAL.
    """
    data_dir, left = instance.layout.data_dir, ready_files(instance.layout.wal_dir)
    if left:
        raise DataDirectoryError(
            f"{data_dir}: {len(left)} files of WAL are not archived, beginning with {left[0]}, and would be lost:"
            " mend the archive, or keep the old directory"
        )
    state = instance.control.read(instance.programs).control.state
    if state not in CLEAN:
        raise DataDirectoryError(
            f"{data_dir}: the server did not stop in order ({state}): the end of its WAL is not archived, and would be lost:"
            " try again, or keep the old directory"
        )


def _keep_aside(instance: Instance, aside: Path) -> None:
    """Move what is there out of the way. What cannot be moved is untouched: it carries no mark, and is started again.

    :raises DataDirectoryError: it cannot be kept.
    """
    data_dir = instance.layout.data_dir
    if aside.exists() or is_empty(data_dir):
        return
    reason = why_not_aside(instance)
    if reason is not None:
        raise DataDirectoryError(f"{data_dir}: {reason}: restore without keeping it")
    instance.mark.set(_MOVING)
    try:
        data_dir.rename(aside)
    except OSError as error:
        instance.mark.clear()
        raise DataDirectoryError(f"{data_dir}: cannot be kept aside: {error.strerror}; restore without keeping it") from error
    sync_directory(aside.parent)
    instance.replaced()


def _put_back(instance: Instance, aside: Path) -> str | None:
    """End what runs, and bring back what was there; without it the mark stays, and the directory is never started.

    :returns: why what was kept could not be brought back.
    """
    try:
        if not aside.exists() and instance.mark.read() in {None, _MOVING}:  # nothing has been moved yet, or it is back already
            instance.mark.clear()
            return None
        if instance.processes.alive():
            asked(lambda: instance.launcher.end(kill=True))
        if aside.exists():
            _rename_back(instance, aside)
    except (HacoreError, GuardError, OSError) as error:
        logger.error("what was there before the restore could not be put back", extra={"directory": str(aside), "error": str(error)})  # noqa: TRY400 - the first fault counts
        return f"what was there before could not be put back, it is in {aside}: {error}"
    return None


def _rename_back(instance: Instance, aside: Path) -> None:
    """Done again after a crash at any point it comes to the same."""
    instance.mark.set(MARK)
    clean(instance)
    instance.layout.data_dir.rmdir()
    instance.mark.set(_MOVING)
    aside.rename(instance.layout.data_dir)
    sync_directory(aside.parent)
    instance.replaced()
    instance.mark.clear()
    logger.warning("the restore has ended, what was there is put back", extra={"directory": str(instance.layout.data_dir)})
