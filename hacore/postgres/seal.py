"""What is done to a data directory after any tool has filled it, so that nothing of where it came from has an effect here."""

import logging
import stat
from pathlib import Path
from typing import Final

from hacore.errors import DataDirectoryError
from hacore.interfaces import Job
from hacore.postgres import conffile
from hacore.postgres.files import read_if_there, remove_durably, sync_directory, write_durably
from hacore.postgres.instance import Instance
from hacore.postgres.parameters import FOREIGN
from hacore.postgres.programs import ENVIRONMENT
from hacore.postgres.tablespaces import settled

logger = logging.getLogger(__name__)

_WAL: Final = "pg_wal"
_ARCHIVE: Final = frozenset({"archive_command", "archive_mode", "archive_library"})
_GROUP: Final = 0o750
_OWNER: Final = 0o700


def seal(instance: Instance, job: Job, *, system_id: str | None) -> None:
    """Make a filled directory one of ours: checked, without foreign recovery settings, on the disk.

    :raises DataDirectoryError: it is of another cluster or version, not whole, or in use.
    """
    layout = instance.layout
    instance.replaced()
    left = instance.processes.alive()
    if left:
        raise DataDirectoryError(f"{layout.data_dir}: processes {left} still work in it")
    _check(instance, system_id)
    leftovers = (layout.pid_file, layout.data_dir / "postmaster.opts", layout.recovery_signal)
    changed = [path.name for path in leftovers if remove_durably(path)]
    if not layout.standby_signal.exists():
        write_durably(layout.standby_signal, "")
    changed += strip(instance)
    changed += instance.files.restore_missing()
    mode = stat.S_IMODE(layout.data_dir.stat().st_mode)
    if mode not in {_GROUP, _OWNER}:
        layout.data_dir.chmod(_OWNER)
        changed.append(f"mode {mode:o}")
    _sync(instance, job)
    logger.info("sealed the data directory", extra={"directory": str(layout.data_dir), "changed": changed})


def _check(instance: Instance, system_id: str | None) -> None:
    data_dir = instance.layout.data_dir
    control = instance.control.read(instance.programs).control
    if system_id is not None and control.system_id != system_id:
        raise DataDirectoryError(f"{data_dir}: system identifier {control.system_id} is of another cluster, want {system_id}")
    if control.major_version != instance.programs.major:
        raise DataDirectoryError(f"{data_dir}: of PostgreSQL {control.major_version}, want {instance.programs.major}")
    make_wal_directory(data_dir)
    if not instance.layout.wal_dir.is_dir():
        raise DataDirectoryError(f"{data_dir}: pg_wal leads nowhere")
    settled(data_dir)


def make_wal_directory(data_dir: Path) -> None:
    """Make ``pg_wal`` where there is none: WAL-G leaves a link out, and PostgreSQL starts without none."""
    path = data_dir / _WAL
    if not path.is_symlink() and not path.exists():
        path.mkdir(mode=_OWNER)
        sync_directory(data_dir)
        logger.info("made the directory of WAL that the copy has not", extra={"directory": str(path)})


def strip(instance: Instance) -> list[str]:
    """Take the recovery and archive settings of where it comes from out of postgresql.auto.conf; return what was taken."""
    path = instance.layout.auto_conf
    text = read_if_there(path)
    if text is None:
        return []
    stripped, dropped = conffile.without(text, FOREIGN | _ARCHIVE)
    if dropped:
        write_durably(path, stripped)
    return [f"{path.name}: {name}" for name in dropped]


def _sync(instance: Instance, job: Job) -> None:
    """Put everything on the disk; a tool that did so itself makes this quick."""
    argv = (instance.programs.path("initdb"), "--sync-only", "-D", str(instance.layout.data_dir))
    finished = job.run(argv, environment=dict(ENVIRONMENT))
    if finished.exit_code != 0:
        raise DataDirectoryError(f"{instance.layout.data_dir}: not synced to the disk: {finished.output.strip()[-200:]}")
