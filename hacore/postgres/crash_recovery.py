"""Bringing a crashed former primary to a clean end of its WAL, in single-user mode, so that nobody is let in meanwhile."""

import logging
from typing import Final

from hacore.errors import DataDirectoryError
from hacore.postgres.files import remove_durably
from hacore.postgres.instance import Instance
from hacore.postgres.job import JobHandle
from hacore.postgres.launcher import wait_settled
from hacore.postgres.leftovers import push_leftovers
from hacore.postgres.programs import C_LOCALE

logger = logging.getLogger(__name__)

CLEAN: Final = frozenset({"shut down", "shut down in recovery"})
_ARCHIVE_LIBRARY_SINCE: Final = 15
_TOLD: Final = 300


def recover(instance: Instance, job: JobHandle) -> None:
    """Replay the local WAL to its end and shut down. A directory that is shut down already is left as it is.

    :raises DataDirectoryError: the server could not do it, processes of it live, or it is a backup that was never started.
    :raises ArchiveConflictError: the archive has other WAL under the names of what waits here.
    """
    layout = instance.layout
    left = instance.processes.alive()
    if left:
        raise DataDirectoryError(f"{layout.data_dir}: processes {left} of it live")
    if instance.control.read(instance.programs).control.state in CLEAN:
        return
    wait_settled(instance.launcher)
    if (layout.data_dir / "backup_label").exists():
        raise DataDirectoryError(f"{layout.data_dir}: backup_label is there: a base backup, not a crashed server")
    push_leftovers(instance, job, stops_at_conflict=True)
    instance.processes.drop_stale_pid_file()
    remove_durably(layout.standby_signal)
    remove_durably(layout.recovery_signal)
    plan, _ = instance.write_settings(standby=True)
    job.progress("crash recovery")
    # archive_mode stays on so that finished segments are remembered as to be archived; the command does nothing.
    archive = ["--archive_mode=on", "--archive_command=false"]
    if instance.programs.major >= _ARCHIVE_LIBRARY_SINCE:
        archive.append("--archive_library=")
    argv = (
        instance.programs.path("postgres"),
        "--single",
        "-D",
        str(layout.data_dir),
        f"--config-file={layout.conf}",
        *plan.command_line,
        *archive,
        "template1",
    )
    environment = {**instance.server_environment(), **C_LOCALE}
    finished = job.run(argv, environment=environment, cwd=str(layout.data_dir))
    state = instance.control.read(instance.programs).control.state
    if finished.exit_code != 0 or state not in CLEAN:
        raise DataDirectoryError(
            f"{layout.data_dir}: crash recovery ended with {finished.exit_code}, state {state!r}: {finished.output.strip()[-_TOLD:]}"
        )
    logger.info("crash recovery done", extra={"directory": str(layout.data_dir)})
