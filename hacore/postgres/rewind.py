"""Taking back local WAL that the leader does not have, by pg_rewind. Nothing is touched before the leader's history has been read."""

import contextlib
import logging
from typing import Final

from hacore.errors import DataDirectoryError, JobCancelledError, PostgresUnreachableError
from hacore.interfaces import Finished
from hacore.model.node import ControlData
from hacore.model.steps import Rewind
from hacore.postgres.cleaning import clean, refuse_foreign
from hacore.postgres.conninfo import format_conninfo
from hacore.postgres.crash_recovery import CLEAN, recover
from hacore.postgres.instance import Instance
from hacore.postgres.job import JobHandle
from hacore.postgres.launcher import wait_settled
from hacore.postgres.leader import LeaderFacts, leader_facts, let_leader_pass, rewind_dsn
from hacore.postgres.leftovers import push_leftovers
from hacore.postgres.lineage import Prefix, compare
from hacore.postgres.passfile import login, temporary_passfile
from hacore.postgres.programs import C_LOCALE
from hacore.postgres.seal import seal
from hacore.postgres.surroundings import Surroundings
from hacore.postgres.wal_end import WalEnd

logger = logging.getLogger(__name__)

MARK: Final = "rewind"
_SEARCH_S: Final = 3600.0
_CONFIG_FILE_SINCE: Final = 15
_TOUCHED: Final = "need to copy"  # pg_rewind --progress: everything was checked, from here on it writes
_TOLD: Final = 300


def rewind(instance: Instance, job: JobHandle, step: Rewind, around: Surroundings) -> None:
    """Rewind the stopped server to where it parted from the leader. Local WAL that is a prefix of the leader's needs none.

    :raises PostgresUnreachableError: the leader does not answer, is none, or has not had its first checkpoint yet: try again.
    :raises DataDirectoryError: it cannot be rewound; a mark says whether it was touched.
    :raises ArchiveConflictError: the archive has other WAL under the names of what waits here, whose only copy this is: nothing is emptied.
    """
    left = instance.processes.alive()
    if left:
        raise DataDirectoryError(f"{instance.layout.data_dir}: processes {left} of it live")
    address = around.address_of(step.leader)
    if address is None:
        raise PostgresUnreachableError(f"{step.leader}: the address of this member is not known")
    facts = leader_facts(instance, *address)
    control = instance.control.read(instance.programs).control
    try:
        end = _local_end(instance, control, facts)
        verdict = compare(end.timeline, end.lsn, facts.history, leader_end=facts.lsn)
        if isinstance(verdict, Prefix):
            return
        logger.warning("local WAL is not the leader's", extra={"leader": step.leader, "why": verdict.reason, "parted_at": str(verdict.at)})
        _refuse(instance, control, facts, end)
        if control.state not in CLEAN:
            recover(instance, job)
        push_leftovers(instance, job, stops_at_conflict=True)
        _rewind(instance, job, address, facts)
    except DataDirectoryError:
        if step.wipe_on_failure:
            _wipe(instance, job, facts, address)
        raise


def _local_end(instance: Instance, control: ControlData, facts: LeaderFacts) -> WalEnd:
    if facts.system_id != control.system_id:
        raise DataDirectoryError(
            f"{instance.layout.data_dir}: system identifier {control.system_id}, the leader's is {facts.system_id}: another cluster"
        )
    return instance.wal_ends.find(instance.programs, control, timeout_s=_SEARCH_S)


def _refuse(instance: Instance, control: ControlData, facts: LeaderFacts, end: WalEnd) -> None:
    if end.timeline == facts.history.timeline:
        raise DataDirectoryError(
            f"local WAL ends at {end.lsn}, the leader's on the same timeline at {facts.lsn}: pg_rewind would see no difference"
        )
    if not control.data_checksums and not control.wal_log_hints:
        raise DataDirectoryError(f"{instance.layout.data_dir}: without data checksums and wal_log_hints it cannot be rewound")
    if not facts.is_checkpointed:
        raise PostgresUnreachableError("the leader has not had its first checkpoint on its timeline yet")


def _rewind(instance: Instance, job: JobHandle, address: tuple[str, int], facts: LeaderFacts) -> None:
    wait_settled(instance.launcher)
    plan, _ = instance.write_settings()  # pg_rewind asks the target's configuration for restore_command
    kept = instance.files.take()
    instance.mark.set(MARK)
    is_touched = False

    def told(line: str) -> None:
        nonlocal is_touched
        is_touched |= _TOUCHED in line
        logger.info("pg_rewind", extra={"line": line})
        with contextlib.suppress(JobCancelledError):  # the lines after this one count, too; the run itself ends
            job.progress(line.removeprefix("pg_rewind: "))

    with temporary_passfile(instance.layout.state_dir, login(instance.settings.authentication.rewind, *address)) as passfile:
        environment = {
            **instance.server_environment(),
            **C_LOCALE,
            "PGPASSFILE": str(passfile),
            "PGOPTIONS": "-c statement_timeout=0",
        }
        try:
            finished = job.run(
                _argv(instance, address, restores=bool(plan.recovery.get("restore_command"))), environment=environment, on_line=told
            )
        except JobCancelledError:
            if not is_touched:
                instance.mark.clear()
            raise
    if finished.exit_code != 0 and not is_touched:
        instance.mark.clear()
    _raise_failed(finished)
    _let_leader_pass(instance, address)
    instance.files.put_back(kept)
    seal(instance, job, system_id=facts.system_id)
    instance.mark.clear()


def _let_leader_pass(instance: Instance, address: tuple[str, int]) -> None:
    """Let there be WAL up to where the copy is consistent. Where that fails, it waits for whatever the leader writes next."""
    consistent_at = instance.control.read(instance.programs).control.min_recovery_lsn
    if consistent_at is None:
        return
    try:
        if let_leader_pass(instance, *address, consistent_at):
            logger.info("the leader was idle and has written a little", extra={"lsn": str(consistent_at)})
    except PostgresUnreachableError as error:
        logger.warning("the leader may not write what the rewound server waits for", extra={"error": str(error)})


def _argv(instance: Instance, address: tuple[str, int], *, restores: bool) -> list[str]:
    layout = instance.layout
    conninfo = format_conninfo(rewind_dsn(instance, *address) | {"application_name": instance.settings.name})
    argv = [
        instance.programs.path("pg_rewind"),
        f"--target-pgdata={layout.data_dir}",
        f"--source-server={conninfo}",
        "--progress",
    ]
    if restores:
        if instance.programs.major >= _CONFIG_FILE_SINCE:
            argv += ["--restore-target-wal", f"--config-file={layout.conf}"]
        elif layout.config_dir == layout.data_dir:
            argv.append("--restore-target-wal")
    return argv


def _raise_failed(finished: Finished) -> None:
    if finished.exit_code != 0:
        raise DataDirectoryError(f"pg_rewind ended with {finished.exit_code}: {finished.output.strip()[-_TOLD:]}")


def _wipe(instance: Instance, job: JobHandle, facts: LeaderFacts, address: tuple[str, int]) -> None:
    """Empty the directory, as the settings allow, but only while the leader is seen to be well: it may be the last good copy."""
    again = leader_facts(instance, *address)
    if again.system_id != facts.system_id or not again.is_checkpointed:
        raise PostgresUnreachableError("the leader is not fit to copy from, nothing is emptied")
    refuse_foreign(instance, facts.system_id)
    if instance.mark.read() is None:  # it was refused before anything was pushed; what pg_rewind has written is not this node's
        push_leftovers(instance, job, stops_at_conflict=True)
    clean(instance)
    instance.mark.clear()
