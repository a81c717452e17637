"""Starting the server through the guard, until it takes connections."""

import time
from dataclasses import dataclass, field
from typing import Final

from hacore.errors import DataDirectoryError, JobCancelledError, PostgresUnreachableError
from hacore.guard.values import StartRefused, StartServer
from hacore.model.node import Role, Upstream
from hacore.postgres.connection import Connection, QueryError
from hacore.postgres.files import read_if_there
from hacore.postgres.instance import NOBODY, Instance
from hacore.postgres.job import JobHandle
from hacore.postgres.launcher import asked, wait_settled
from hacore.postgres.pidfile import READY
from hacore.postgres.socket_locks import drop_empty
from hacore.postgres.stop import role_of

_LOOK_S: Final = 0.03
_ANSWER_S: Final = 1.0
_TOLD_LINES: Final = 6
_TOLD_CHARS: Final = 800


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How to start. ``options`` are for this run alone."""

    role: Role
    token: int | None = None  # fencing token under which a primary starts
    upstream: Upstream | None = None
    timeout_s: float | None = None
    to_target: bool = False  # signal files stay as they are: recovery to a target, then primary
    recovery: dict[str, str] = field(default_factory=dict)  # further recovery settings, for that
    options: dict[str, str] = field(default_factory=dict)
    during: str | None = None  # the mark of the work that this start is part of


def start(instance: Instance, job: JobHandle, how: Start) -> None:
    """Start the server and wait until it takes connections.

    A cancelled start of a primary ends the server; a standby goes on starting, and the next reading shows it.

    :raises DataDirectoryError: the directory must not be started, or the server ended at once; its own words are in the message.
    :raises PostgresUnreachableError: it is still starting after the time; it goes on.
    """
    instance.note(stopping=None)
    pid = instance.processes.postmaster()
    try:
        _refuse_unfit(instance, how)
        if pid is None:
            _start_anew(instance, job, how)
        else:
            wait_ready(instance, job, pid, _limit_s(instance, how))
            _refuse_other_role(instance, how.role)
    except JobCancelledError:
        if how.role is Role.PRIMARY:
            asked(lambda: instance.launcher.end(kill=True))
        raise
    except DataDirectoryError as error:
        instance.note(start_failed=str(error))
        raise
    instance.note(start_failed=None, settings_wanted=False)
    if how.during is None:
        instance.files.keep_copies()


def wait_ready(instance: Instance, job: JobHandle, pid: int, timeout_s: float) -> None:
    """Wait until the server answers a query.

    :raises DataDirectoryError: it has ended.
    :raises PostgresUnreachableError: it does not answer in time.
    """
    until = time.monotonic() + timeout_s
    session = None
    try:
        while True:
            job.check()
            if instance.processes.postmaster() != pid:
                raise DataDirectoryError(f"PostgreSQL did not start: {last_words(instance)}")
            file = instance.processes.pid_file()
            if file is not None and file.pid == pid and file.status == READY:
                session = session or instance.session(statement_timeout_s=_ANSWER_S, database="template1")
                if _answers(session):
                    return
            if time.monotonic() >= until:
                raise PostgresUnreachableError(f"PostgreSQL takes no connections after {timeout_s:g} s, it goes on starting")
            job.wait(_LOOK_S)
    finally:
        if session is not None:
            session.close()


def _start_anew(instance: Instance, job: JobHandle, how: Start) -> None:
    try:
        wait_ready(instance, job, _launch(instance, how), _limit_s(instance, how))
    except DataDirectoryError as error:
        if not drop_empty(str(error), owner=instance.layout.data_dir.stat().st_uid):
            raise
        wait_ready(instance, job, _launch(instance, how), _limit_s(instance, how))


def _limit_s(instance: Instance, how: Start) -> float:
    return how.timeout_s or instance.settings.pg_ctl_timeout_s


def last_words(instance: Instance) -> str:
    """Return what the server said last."""
    lines = (read_if_there(instance.layout.log) or "").splitlines()[-_TOLD_LINES:]
    return " | ".join(line.strip() for line in lines)[-_TOLD_CHARS:] or "it said nothing"


def _answers(session: Connection) -> bool:
    try:
        session.query("SELECT 1", timeout_s=_ANSWER_S)
    except QueryError:
        return True
    except PostgresUnreachableError:
        return False
    return True


def _launch(instance: Instance, how: Start) -> int:
    instance.processes.drop_stale_pid_file()
    wait_settled(instance.launcher)
    is_standby = how.role is Role.STANDBY
    instance.files.restore_missing()
    plan, _ = instance.write_settings(how.upstream or NOBODY, standby=is_standby, recovery=how.recovery)
    if not how.to_target:
        instance.files.set_signal(standby=is_standby)
    _turn_log(instance)
    layout = instance.layout
    options = tuple(f"--{name}={value}" for name, value in how.options.items())
    server = StartServer(
        argv=(
            instance.programs.path("postgres"),
            "-D",
            str(layout.data_dir),
            f"--config-file={layout.conf}",
            *plan.command_line,
            *options,
        ),
        env=instance.server_environment(),
        cwd=str(layout.data_dir),
        log_path=str(layout.log),
        token=how.token,
        standby=is_standby,
    )
    pid = asked(lambda: instance.launcher.start(server))
    if isinstance(pid, StartRefused):
        raise PostgresUnreachableError(f"guard: {pid.reason}")
    instance.processes.started(pid)
    return pid


def _refuse_unfit(instance: Instance, how: Start) -> None:
    mark = instance.mark.read()
    if mark is not None and mark != how.during:
        raise DataDirectoryError(f"{instance.layout.data_dir}: unfinished {mark}, it must not be started")
    control = instance.control.read(instance.programs).control
    if control.major_version != instance.programs.major:
        raise DataDirectoryError(
            f"{instance.layout.data_dir}: of PostgreSQL {control.major_version}, the programs are of {instance.programs.major}"
        )
    if how.role is Role.PRIMARY and how.token is None:
        raise DataDirectoryError("a primary starts under a lease only")


def _refuse_other_role(instance: Instance, role: Role) -> None:
    found = role_of(instance)
    if found is not None and found is not role:
        raise PostgresUnreachableError(f"a server runs already, as {found}, want {role}")


def _turn_log(instance: Instance) -> None:
    """Keep the words of the server before this one, so that those of this one stand alone."""
    log = instance.layout.log
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
