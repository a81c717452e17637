"""Leaving recovery under the lease that is held.

The signal is repeated: one that arrives just when the standby has lost its upstream is not acted on for five seconds (measured).
"""

import contextlib
import logging
import os
import signal
import time
from typing import Final

from hacore.errors import DataDirectoryError, JobCancelledError, PostgresUnreachableError
from hacore.model.steps import Promote
from hacore.postgres.connection import Connection
from hacore.postgres.files import remove_durably, sync_directory, write_durably
from hacore.postgres.history import name_of
from hacore.postgres.instance import NOBODY, Instance
from hacore.postgres.job import JobHandle
from hacore.postgres.launcher import asked
from hacore.postgres.surroundings import Surroundings

logger = logging.getLogger(__name__)

_REPEAT_S: Final = 0.05
_LOOK_S: Final = 0.01
_ANSWER_S: Final = 2.0
_LIMIT_S: Final = 300.0  # to replay what is received already; the lease is kept or the job is cancelled meanwhile
_STATE: Final = """SELECT pg_is_in_recovery(),
    CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_walfile_name(pg_current_wal_insert_lsn()) END,
    (pg_control_checkpoint()).timeline_id"""


def promote(instance: Instance, job: JobHandle, step: Promote, around: Surroundings) -> None:
    """Promote the standby to ``step.timeline``. A server that is primary already is left as it is.

    :raises DataDirectoryError: the server came up on another timeline than the one that was claimed, or is no standby that runs.
    :raises JobCancelledError: the lease was lost: a server that had been told to promote is ended.
    """
    session = instance.session(statement_timeout_s=_ANSWER_S, database="template1")
    blocked: list[int] = []
    try:
        if _timeline(session) is None:
            around.before_promote(step)
            job.check()
            blocked = _block_timelines(instance, step, _recovery_timeline(session))
            _leave_recovery(instance, job, session, around)
        reached = _timeline(session)
    except (PostgresUnreachableError, DataDirectoryError, JobCancelledError):
        _unblock(instance, blocked)
        raise
    finally:
        session.close()
        instance.layout.promote_file.unlink(missing_ok=True)
    if reached != step.timeline:
        raise DataDirectoryError(f"promoted to timeline {reached}, want the claimed {step.timeline}")
    try:
        instance.write_settings(NOBODY, standby=False)  # so that no later start as a standby takes up with the upstream of before
    except DataDirectoryError as error:
        logger.warning("promoted, but the configuration was not written", extra={"error": str(error)})


def _timeline(session: Connection) -> int | None:
    """The timeline that a primary writes; ``None`` while it is in recovery."""
    in_recovery, wal_file, _ = session.query(_STATE, timeout_s=_ANSWER_S)[0]
    return None if in_recovery else int(wal_file[:8], 16)


def _recovery_timeline(session: Connection) -> int:
    return int(session.query(_STATE, timeout_s=_ANSWER_S)[0][2])


def _leave_recovery(instance: Instance, job: JobHandle, session: Connection, around: Surroundings) -> None:
    token = around.token()
    if token is None:
        raise JobCancelledError("the lease is not held any more")
    try:
        _insist(instance, job, session, token)
    except (JobCancelledError, PostgresUnreachableError):
        # It has been told, so it may become primary at any moment from now on, without a lease.
        asked(lambda: instance.launcher.end(kill=True))
        raise


def _insist(instance: Instance, job: JobHandle, session: Connection, token: int) -> None:
    """Tell the server again and again until it is out of recovery."""
    until = time.monotonic() + _LIMIT_S
    repeat_at = 0.0
    while session.query("SELECT pg_is_in_recovery()", timeout_s=_ANSWER_S)[0][0]:
        job.check()
        now = time.monotonic()
        if now >= until:
            raise PostgresUnreachableError(f"still in recovery after {_LIMIT_S:g} s")
        if now >= repeat_at:
            _ask(instance, token)
            repeat_at = now + _REPEAT_S
        time.sleep(_LOOK_S)


def _ask(instance: Instance, token: int) -> None:
    """Put the file where the startup process looks and wake the postmaster, through the guard and only while the fence is armed."""
    fd = os.open(instance.layout.promote_file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.close(fd)
    with contextlib.suppress(FileNotFoundError):
        asked(lambda: instance.launcher.signal(signal.SIGUSR1, token))


def _block_timelines(instance: Instance, step: Promote, current: int) -> list[int]:
    """Keep PostgreSQL from choosing a number that somebody else has claimed: it takes the first without a history file."""
    numbers = {*range(current + 1, step.timeline), *(number for number in step.claimed if number > current and number != step.timeline)}
    created = []
    for number in sorted(numbers):
        path = instance.layout.wal_dir / name_of(number)
        if number != step.timeline and not path.exists():
            write_durably(path, "")
            created.append(number)
    return created


def _unblock(instance: Instance, numbers: list[int]) -> None:
    """After a promotion that did not happen the standby must be able to fetch the true ones."""
    for number in numbers:
        path = instance.layout.wal_dir / name_of(number)
        if path.exists() and path.stat().st_size == 0:
            remove_durably(path)
    if numbers:
        sync_directory(instance.layout.wal_dir)
