"""Leaving recovery under the lease that is held.

The signal is repeated: one that arrives just when the standby has lost its upstream is not acted on for five seconds (measured).
"""

import os
import signal
import time
from typing import Final

from hacore.errors import DataDirectoryError, GuardUnavailableError, JobCancelledError, PostgresUnreachableError
from hacore.model.steps import Promote
from hacore.postgres.archive_shim import DIRECTORY, end_hanging_fetch
from hacore.postgres.connection import Connection
from hacore.postgres.files import remove_durably, sync_directory, write_durably
from hacore.postgres.history import FIRST, name_of
from hacore.postgres.instance import NOBODY, Instance
from hacore.postgres.job import JobHandle
from hacore.postgres.launcher import asked
from hacore.postgres.surroundings import Surroundings

_REPEAT_S: Final = 0.05
_LOOK_S: Final = 0.005
_ANSWER_S: Final = 5.0
_TIMELINE_DIGITS: Final = 8
_LIMIT_S: Final = 300.0  # to replay what is received already; the lease is kept or the job is cancelled meanwhile
_FETCH_S: Final = 5.0  # a fetch that hangs would keep the server in recovery: it is ended as if the file were missing
_RECOVERY: Final = "SELECT pg_is_in_recovery()"
_WRITTEN: Final = "SELECT pg_walfile_name(pg_current_wal_insert_lsn())"


def promote(instance: Instance, job: JobHandle, step: Promote, around: Surroundings) -> None:
    """Promote the standby to ``step.timeline``. A server that is primary already is left as it is.

    :raises DataDirectoryError: the server came up on another timeline than the one that was claimed, or is no standby that runs.
    :raises JobCancelledError: the lease was lost: a server that had been told to promote is ended.
    """
    token = around.token()
    if token is None:
        raise JobCancelledError("the lease is not held any more")
    around.before_promote(step)
    job.check()
    _refuse_unarmed(instance, token)
    blocked = _block_timelines(instance, step)
    session = instance.session(statement_timeout_s=_ANSWER_S, database="template1")
    try:
        leave_recovery(instance, job, session, token)
        reached = int(session.query(_WRITTEN, timeout_s=_ANSWER_S)[0][0][:_TIMELINE_DIGITS], 16)
    except (PostgresUnreachableError, GuardUnavailableError, JobCancelledError):
        _unblock(instance, blocked)
        raise
    finally:
        session.close()
        instance.layout.promote_file.unlink(missing_ok=True)
    if reached != step.timeline:
        raise DataDirectoryError(f"promoted to timeline {reached}, want the claimed {step.timeline}")


def forget_upstream(instance: Instance) -> None:
    """After a promotion: so that no later start as a standby takes up with the upstream of before."""
    if not instance.layout.standby_signal.exists() and instance.upstream().host:
        instance.write_settings(NOBODY, standby=False)


def _refuse_unarmed(instance: Instance, token: int) -> None:
    """Look before the file is there: any SIGUSR1 that a child of the postmaster sends would then promote."""
    state = asked(instance.launcher.state)
    if not state.armed or state.token != token:
        raise PostgresUnreachableError(f"the fence is not armed for token {token}, no promotion")
    if instance.processes.postmaster() is None:
        raise DataDirectoryError(f"{instance.layout.data_dir}: no server runs that could be promoted")


def leave_recovery(instance: Instance, job: JobHandle, session: Connection, token: int) -> None:
    """Tell the server again and again until it is out of recovery; the first time before the connection is there."""
    until = time.monotonic() + _LIMIT_S
    repeat_at = 0.0
    try:
        while True:
            now = time.monotonic()
            if now >= repeat_at:
                _ask(instance, token)
                repeat_at = now + _REPEAT_S
                if instance.layout.standby_signal.exists():  # in a restore it would end the server: an archive may be slow there
                    end_hanging_fetch(instance.layout.state_dir / DIRECTORY, longer_than_s=_FETCH_S)
            if not session.query(_RECOVERY, timeout_s=min(_ANSWER_S, max(until - now, 0.0)))[0][0]:
                return
            job.wait(_LOOK_S)
    except (JobCancelledError, PostgresUnreachableError, GuardUnavailableError):
        # It has been told, so it may become primary at any moment from now on, without a lease.
        asked(lambda: instance.launcher.end(kill=True))
        raise


def _ask(instance: Instance, token: int) -> None:
    """Put the file where the startup process looks and wake the postmaster, through the guard and only while the fence is armed."""
    fd = os.open(instance.layout.promote_file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.close(fd)
    asked(lambda: instance.launcher.signal(signal.SIGUSR1, token))


def _block_timelines(instance: Instance, step: Promote) -> list[int]:
    """Keep PostgreSQL from choosing a number that somebody else has claimed: it takes the first without a history file.

    The control file may know an older timeline than the one that is replayed; those between have their files.
    """
    known = instance.control.cached()
    current = known.control.timeline if known is not None else FIRST
    created = []
    for number in range(current + 1, step.timeline):
        path = instance.layout.wal_dir / name_of(number)
        if not path.exists():
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
