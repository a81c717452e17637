"""From the files of a backup to a primary: recovery up to a target, a look at what was reached, and only then the way out of it.

Where the server ends before the target, that is said and nothing falls back to less. An archive that is broken stops the recovery (its
programs see to that); only "there is no such file" is its end.
"""

import logging
import re
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from hacore.backup.target import recovery_settings
from hacore.errors import DataDirectoryError, PostgresUnreachableError
from hacore.model.lsn import Lsn
from hacore.model.node import Role
from hacore.model.recovery import RecoveryTarget, TargetAction, TargetKind
from hacore.model.steps import StopMode, StopServer
from hacore.postgres.archive_end import gap_after
from hacore.postgres.archive_look import own_restore_command
from hacore.postgres.connection import Connection
from hacore.postgres.files import read_if_there, remove_durably, write_durably
from hacore.postgres.history import name_of
from hacore.postgres.instance import NOBODY, Instance
from hacore.postgres.job import JobHandle
from hacore.postgres.promotion import leave_recovery
from hacore.postgres.roles import create_roles, set_superuser_password
from hacore.postgres.seal import make_wal_directory, strip
from hacore.postgres.seclusion import secluded
from hacore.postgres.start import Start, last_words, start
from hacore.postgres.stop import stop
from hacore.postgres.surroundings import Surroundings
from hacore.postgres.tablespaces import settled

logger = logging.getLogger(__name__)

_START_S: Final = 86400.0  # until it is consistent; it may have a night's WAL to replay
_LOOK_S: Final = 0.2
_ANSWER_S: Final = 5.0
_NOT_YET: Final = "exit 200"  # above 128 the archiver ends, and does not try again while the server stops
_ARCHIVE_LIBRARY: Final = 15  # major version
_TIMELINE_DIGITS: Final = 8
_TOO_SHORT: Final = "recovery ended before configured recovery target was reached"
_ENDED_AT: Final = re.compile(r"last completed transaction was at log time ([^|\n]+)")
_PROGRESS: Final = (
    "SELECT pg_is_in_recovery(), CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END,"
    " pg_last_wal_replay_lsn()::text, pg_last_xact_replay_timestamp()"
)
_WRITTEN: Final = "SELECT pg_walfile_name(pg_current_wal_insert_lsn())"
_MODES: Final = frozenset({0o700, 0o750})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """How to recover. ``during``: the mark of the work that it is part of."""

    target: RecoveryTarget
    during: str
    along: int | None = None  # the timeline to follow; ``None``: as the target says, PostgreSQL looks for the newest itself
    timeline: int | None = None  # the first that may be begun; those before it belong to others
    system_id: str | None = None
    restore_command: str | None = None  # of another cluster's archive, which may be in use; ``None``: that of this node's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What was reached. ``None``: not known (there was no transaction)."""

    timeline: int
    lsn: Lsn | None = None
    time: datetime | None = None

    def __str__(self) -> str:
        time = "" if self.time is None else f", last transaction at {self.time.isoformat()}"
        return f"timeline {self.timeline}, position {self.lsn}{time}"


def recover(instance: Instance, job: JobHandle, token: int, how: Recovery, around: Surroundings) -> Recovered:
    """Recover the files that lie in the data directory, and leave their server running as primary with the settings in force.

    :raises DataDirectoryError: they are no whole backup, or the target was not reached; what was reached is in the message.
    :raises PostgresUnreachableError: the server does not answer.
    """
    _prepare(instance, how)
    job.progress("recovery begins")
    with secluded(instance) as alone:
        last = _recovered(instance, job, token, how, alone)
        set_superuser_password(instance)
        create_roles(instance)
        start_as_usual(instance, job, token, how.during, around)
    logger.info("recovered", extra={"reached": str(last), "target": str(how.target)})
    return last


def start_as_usual(instance: Instance, job: JobHandle, token: int, during: str, around: Surroundings) -> None:
    """Let clients in: the run before had settings of its own on its command line, the one that they see has not."""
    job.progress("starts with the settings in force")
    quiet = replace(around, before_stop=lambda _: None, on_shut_down=lambda _: None)
    stop(instance, job, StopServer(mode=StopMode.FAST, reason="recovery is done", checkpoint_first=True), quiet)
    start(instance, job, Start(role=Role.PRIMARY, token=token, during=during, timeout_s=instance.settings.pg_ctl_timeout_s))


def _recovered(instance: Instance, job: JobHandle, token: int, how: Recovery, alone: Mapping[str, str]) -> Recovered:
    """Start, follow the replay to the target, and leave recovery there."""
    try:
        start(instance, job, _start_of(instance, token, how, alone))
    except DataDirectoryError as error:
        if _TOO_SHORT in str(error):  # so soon that nobody had seen it take connections
            raise DataDirectoryError(_why_ended(instance, how.target)) from error
        raise
    session = instance.session(statement_timeout_s=_ANSWER_S, database="template1")
    try:
        is_waiting = _follow(instance, job, session, how.target)
        reached = _seen(session)
        _verify(how.target, reached)
        if is_waiting:
            job.progress(f"leaves recovery at {reached.lsn}")
            leave_recovery(instance, job, session, token)
        timeline = int(session.query(_WRITTEN, timeout_s=_ANSWER_S)[0][0][:_TIMELINE_DIGITS], 16)
        reached = replace(reached, timeline=timeline)
        if how.target.kind is TargetKind.LATEST:
            _refuse_gap(instance, job, how, reached)
    finally:
        session.close()
    if how.timeline is not None and timeline < how.timeline:
        raise DataDirectoryError(f"recovered to timeline {timeline}, which is another's; want {how.timeline} or a later one")
    return reached


def _prepare(instance: Instance, how: Recovery) -> None:
    """Take away what the files bring along of where they come from, and make the next start a recovery."""
    layout = instance.layout
    instance.replaced()
    if not (layout.data_dir / "backup_label").is_file():
        raise DataDirectoryError(f"{layout.data_dir}: no backup_label: what was restored is no base backup")
    control = instance.control.read(instance.programs).control
    if how.system_id is not None and control.system_id != how.system_id:
        raise DataDirectoryError(f"{layout.data_dir}: restored was system identifier {control.system_id}, want {how.system_id}")
    make_wal_directory(layout.data_dir)
    settled(layout.data_dir)
    leftovers = (layout.pid_file, layout.data_dir / "postmaster.opts", layout.standby_signal, layout.promote_file)
    changed = [path.name for path in leftovers if remove_durably(path)]
    changed += strip(instance)
    slots = layout.data_dir / "pg_replslot"
    for slot in slots.iterdir() if slots.is_dir() else ():
        shutil.rmtree(slot)  # it would keep WAL for a standby of another life
        changed.append(f"slot {slot.name}")
    if stat.S_IMODE(layout.data_dir.stat().st_mode) not in _MODES:
        layout.data_dir.chmod(0o700)
    instance.files.restore_missing()
    _block_timelines(instance, how)
    write_durably(layout.recovery_signal, "")
    logger.info("prepared the restored directory", extra={"directory": str(layout.data_dir), "changed": changed})


def _block_timelines(instance: Instance, how: Recovery) -> None:
    """PostgreSQL takes the first number after ``along`` without a history file: those of others get an empty one."""
    if how.along is None or how.timeline is None:
        return
    for number in range(how.along + 1, how.timeline):
        path = instance.layout.wal_dir / name_of(number)
        if not path.exists():
            write_durably(path, "")


def _start_of(instance: Instance, token: int, how: Recovery, alone: Mapping[str, str]) -> Start:
    """A run of its own: nobody else gets in, its words are ours to read, and it allows as much of everything as its WAL needs.

    What it has to archive waits for the run after it: the history of a timeline that is given up again would lead every standby astray.
    """
    stops = how.target.kind is not TargetKind.LATEST
    target = replace(how.target, action=TargetAction.PAUSE if stops else TargetAction.PROMOTE)
    recovery = recovery_settings(target, timeline=how.along)
    if not stops:
        del recovery["recovery_target_action"], recovery["recovery_target_inclusive"]
    command = how.restore_command or own_restore_command(instance)
    raised = instance.plan(NOBODY, standby=True, recovery={}).clamped
    return Start(
        role=Role.PRIMARY,
        token=token,
        during=how.during,
        timeout_s=_START_S,
        to_target=True,
        recovery={**recovery, "restore_command": command},
        options={
            **{name: value for name, value, _ in raised},
            "hot_standby": "on",
            "archive_command": _NOT_YET,
            **({"archive_library": ""} if instance.programs.major >= _ARCHIVE_LIBRARY else {}),
            **alone,
            "logging_collector": "off",
            "log_destination": "stderr",
            "log_min_messages": "warning",
            "lc_messages": "C",
        },
    )


def _follow(instance: Instance, job: JobHandle, session: Connection, target: RecoveryTarget) -> bool:
    """Follow the replay to its end; tell whether it waits there.

    It leaves recovery by itself at the end of all WAL, and also at a target that it comes to before it could let anybody look: where a
    transaction with more than 64 subtransactions runs from before the backup on, hot standby does not become active.
    """
    while True:
        job.check()
        if instance.processes.postmaster() is None:
            raise DataDirectoryError(_why_ended(instance, target))
        try:
            in_recovery, paused, lsn, time = session.query(_PROGRESS, timeout_s=_ANSWER_S)[0]
        except PostgresUnreachableError:
            job.wait(_LOOK_S)
            continue
        if paused or not in_recovery:
            return bool(in_recovery)
        job.progress(f"recovers: {lsn}" + ("" if time is None else f", {time.isoformat(timespec='seconds')}"))
        job.wait(_LOOK_S)


def _seen(session: Connection) -> Recovered:
    _, _, lsn, time = session.query(_PROGRESS, timeout_s=_ANSWER_S)[0]
    return Recovered(timeline=0, lsn=Lsn.parse(lsn) if lsn else None, time=time)


def _verify(target: RecoveryTarget, reached: Recovered) -> None:
    """The server says that it has come to the target: hold what it has replayed against it."""
    if target.time is not None and reached.time is not None and reached.time > target.time:
        raise DataDirectoryError(f"recovery went beyond its target {target}: {reached}")
    if target.lsn is not None and target.inclusive and (reached.lsn is None or reached.lsn < target.lsn):
        raise DataDirectoryError(f"recovery stopped before its target {target}: {reached}")


def _refuse_gap(instance: Instance, job: JobHandle, how: Recovery, reached: Recovered) -> None:
    """The server has come to the end of the WAL: what it was told to follow must end there, too."""
    command = how.restore_command or own_restore_command(instance)
    gap = gap_after(instance, job, reached.timeline, command, is_written_to=how.restore_command is not None)
    if gap is not None:
        ways = "bring that file back, or choose a time or transaction before that"
        instead = "" if gap.instead is None else f", or, where the archive never had it, timeline {gap.instead}"
        raise DataDirectoryError(f"{gap}; reached was {reached}: {ways}{instead}")


def _why_ended(instance: Instance, target: RecoveryTarget) -> str:
    log = read_if_there(instance.layout.log) or ""
    ended = _ENDED_AT.findall(log)
    if _TOO_SHORT in log:
        if not ended:
            return f"the WAL ends before {target}: there is no transaction after the backup; choose latest"
        # To stop after the last one PostgreSQL would have to see one that is later.
        return f"the WAL ends before {target}: its last transaction was at {ended[-1].strip()}; choose latest, or a time before that"
    return f"the recovery to {target} has failed: {last_words(instance)}"
