"""Stopping the server: fast, then immediate, then SIGKILL, each with a budget (safety.md 4).

Stuck backends make a fast stop endless, and the end of the postmaster is not the end of writes: done is done when every process of the
data directory has gone.
"""

import logging
import signal
import time
from collections.abc import Callable
from typing import Final

from hacore.errors import DataDirectoryError, GuardUnavailableError, PostgresUnreachableError
from hacore.model.lsn import Lsn
from hacore.model.node import Role
from hacore.model.steps import StopMode, StopServer
from hacore.postgres.controldata import Stamp
from hacore.postgres.instance import Instance
from hacore.postgres.job import JobHandle
from hacore.postgres.launcher import asked
from hacore.postgres.surroundings import Surroundings

logger = logging.getLogger(__name__)

_IMMEDIATE_S: Final = 6.0  # a stopped backend holds the postmaster for 5 s
_KILL_S: Final = 10.0
_ARCHIVER_S: Final = 60.0  # after the shutdown checkpoint, for the archiver
_CHECKPOINT_S: Final = 60.0
_LONGEST_CHECKPOINT_S: Final = 3600.0
_SHUT_DOWN: Final = "shut down"


def stop(instance: Instance, job: JobHandle, step: StopServer, around: Surroundings) -> None:
    """Stop the server until no process of it lives.

    :raises PostgresUnreachableError: processes have survived SIGKILL.
    """
    pid = instance.processes.postmaster()
    if pid is None and not instance.processes.alive():
        return
    if pid is not None and step.mode is StopMode.FAST:
        if step.checkpoint_first:
            _checkpoint_first(instance, job)
        around.before_stop(step)
        job.check()
    instance.note(stopping=pid)
    watch = _ShutDownWatch(instance, around.on_shut_down)
    if pid is not None and step.mode is StopMode.FAST and _fast(instance, job, step, watch):
        return
    _immediate(instance)


def take_checkpoint(instance: Instance, job: JobHandle, *, timeout_s: float | None = None) -> None:
    """Run CHECKPOINT.

    :raises PostgresUnreachableError: the server did not do it in time.
    """
    session = instance.session(database="template1")
    try:
        job.progress("checkpoint")
        session.query("CHECKPOINT", timeout_s=_LONGEST_CHECKPOINT_S if timeout_s is None else timeout_s, check=job.check)
    finally:
        session.close()


def _checkpoint_first(instance: Instance, job: JobHandle) -> None:
    """So that the shutdown checkpoint has little to write. A server that cannot do it is stopped all the same."""
    try:
        take_checkpoint(instance, job, timeout_s=_CHECKPOINT_S)
    except PostgresUnreachableError as error:
        logger.warning("no checkpoint before the stop", extra={"error": str(error)})


def _fast(instance: Instance, job: JobHandle, step: StopServer, watch: "_ShutDownWatch") -> bool:
    """Stop fast; tell whether it ended in its budget."""
    signal_postmaster(instance, signal.SIGINT)
    budget_s = instance.settings.pg_ctl_timeout_s if step.timeout_s is None else step.timeout_s
    until = time.monotonic() + budget_s

    def look() -> None:
        job.check()
        watch.look()

    if instance.processes.wait_gone(until, look):
        watch.look()
        return True
    if watch.has_fired and instance.processes.wait_gone(time.monotonic() + _ARCHIVER_S, look):
        return True
    logger.warning("the fast stop does not end", extra={"seconds": budget_s, "next": "immediate"})
    return False


def _immediate(instance: Instance) -> None:
    """Stop without cleaning up. From here on nothing is waited for but the end; a cancelled job changes nothing any more."""
    until = time.monotonic() + _IMMEDIATE_S
    try:
        signal_postmaster(instance, signal.SIGQUIT)
    except PostgresUnreachableError:
        until = 0.0  # orphans alone: there is nobody to be asked
    if instance.processes.wait_gone(until, _nothing):
        return
    asked(lambda: instance.launcher.end(kill=True))
    if not instance.processes.wait_gone(time.monotonic() + _KILL_S, _nothing):
        raise PostgresUnreachableError(f"{instance.layout.data_dir}: processes {instance.processes.alive()} survive SIGKILL")


def signal_postmaster(instance: Instance, signum: signal.Signals) -> None:
    """Signal the postmaster through the guard, or directly where the guard does not know it."""
    try:
        asked(lambda: instance.launcher.signal(signum))
    except (PostgresUnreachableError, GuardUnavailableError):
        instance.processes.signal(signum)


def signal_reload(instance: Instance) -> None:
    """Make the server read its files again."""
    signal_postmaster(instance, signal.SIGHUP)


class _ShutDownWatch:
    """Says once that the control file says "shut down": from then on the WAL of a primary has its end, whoever still works."""

    def __init__(self, instance: Instance, told: Callable[[Lsn], None]) -> None:
        self._instance = instance
        self._told = told
        self._seen: Stamp | None = instance.control.stamp()
        self.has_fired = False

    def look(self) -> None:
        """Look, if the control file has changed since the last time."""
        stamp = self._instance.control.stamp()
        if self.has_fired or stamp == self._seen:
            return
        self._seen = stamp
        try:
            control = self._instance.control.read(self._instance.programs).control
        except DataDirectoryError:  # read while it was written: the next look comes in a moment
            self._seen = None
            return
        if control.state == _SHUT_DOWN:
            self.has_fired = True
            self._told(control.checkpoint_lsn)


def _nothing() -> None:
    """There is nothing to look at between."""


def role_of(instance: Instance) -> Role | None:
    """Ask a running server for its role; ``None`` where it does not say."""
    session = instance.session(statement_timeout_s=2.0, database="template1")
    try:
        in_recovery = session.query("SELECT pg_is_in_recovery()", timeout_s=2.0)[0][0]
    except PostgresUnreachableError:
        return None
    finally:
        session.close()
    return Role.STANDBY if in_recovery else Role.PRIMARY
