"""What lies in the data directory, as one value. It reads and changes nothing."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

from hacore.errors import ConfigError, DataDirectoryError
from hacore.model.node import ControlData, DataDirectory, DirectoryState, Role
from hacore.postgres.instance import Instance
from hacore.postgres.query import Answer

_NOT_OURS: Final = frozenset({"lost+found"})  # a fresh file system


def read_directory(instance: Instance, *, answer: Answer | None, is_stopped: bool, patience_s: float) -> DataDirectory:
    """Read the directory.

    :param answer: of the running server; its facts are then used instead of the control file's.
    :param is_stopped: no process of the directory lives, so that the end of its WAL can be looked for.
    :param patience_s: how long that may be waited for.
    """
    layout = instance.layout
    if is_empty(layout.data_dir):
        return DataDirectory(state=DirectoryState.EMPTY, free_bytes=_free_bytes(layout.data_dir))
    mark = instance.mark.read()
    control = _control(instance, answer)
    found = DataDirectory(
        state=_state(mark, control, is_whole=layout.version_file.is_file()),
        control=control,
        has_standby_signal=layout.standby_signal.exists(),
        mark=mark,
        free_bytes=_free_bytes(layout.data_dir),
    )
    if not is_stopped or control is None or found.state is not DirectoryState.INITIALIZED:
        return found
    end = instance.wal_ends.poll(instance.programs, control, instance.control.stamp(), patience_s=patience_s)
    if end is None:
        return found
    return replace(found, wal_end=end.lsn, wal_end_timeline=end.timeline, history=instance.histories.of(end.timeline))


def is_empty(path: Path) -> bool:
    """Tell whether there is no directory, or no file in it."""
    try:
        with os.scandir(path) as entries:
            return all(entry.name in _NOT_OURS for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return not path.exists()
    except OSError:
        return False  # it cannot be read: that is broken, not empty


def _state(mark: str | None, control: ControlData | None, *, is_whole: bool) -> DirectoryState:
    if mark is not None:
        return DirectoryState.UNFINISHED
    return DirectoryState.INITIALIZED if control is not None and is_whole else DirectoryState.BROKEN


def _control(instance: Instance, answer: Answer | None) -> ControlData | None:
    try:
        if answer is None:
            return instance.control.read(instance.programs).control
        known = instance.control.cached() or instance.control.read(instance.programs)
    except (DataDirectoryError, ConfigError):
        return None
    is_standby = answer.role is Role.STANDBY
    return replace(
        known.control,
        system_id=answer.system_id,
        state="in archive recovery" if is_standby else "in production",
        timeline=answer.checkpoint_timeline,
        checkpoint_lsn=answer.checkpoint_lsn,
        redo_lsn=answer.redo_lsn,
        min_recovery_lsn=answer.min_recovery_lsn,
        min_recovery_timeline=answer.min_recovery_timeline,
    )


def _free_bytes(path: Path) -> int | None:
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize
