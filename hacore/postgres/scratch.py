"""Starting a restored copy beside the node's own server, to see whether it comes up: no port, no archive, no writes, no trace.

It is no child of the guard: nothing here can become the primary of anything. ``archive_mode`` is off, it listens on a socket in a
directory of its own alone, and recovery stops as soon as the copy is consistent, so that no timeline is begun.
"""

import os
import re
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hacore.errors import FoundBadError, HacoreError, JobCancelledError, PostgresUnreachableError
from hacore.guard.processes import parent_of
from hacore.interfaces import Finished
from hacore.postgres.connection import Connection, QueryError, Row
from hacore.postgres.controldata import ControlReader
from hacore.postgres.files import remove_durably, write_durably
from hacore.postgres.instance import Instance, superuser_name
from hacore.postgres.job import JobHandle
from hacore.postgres.pidfile import READY, read_pid_file
from hacore.postgres.programs import ENVIRONMENT
from hacore.postgres.seal import make_wal_directory

_LOOK_S: Final = 0.2
_ANSWER_S: Final = 30.0
_START_S: Final = 3600.0  # to replay what the backup needs to be consistent
_READ_S: Final = 3600.0
_STOP_S: Final = 60.0
_TOLD: Final = 600
_SOCKET: Final = ".s.PGSQL.65535"
_LONGEST_SOCKET: Final = 107  # bytes of a path (unix(7))
_HBA: Final = "local all all trust\n"
_DATABASES: Final = "SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1"
_RELATIONS: Final = "SELECT count(*), coalesce(sum(pg_relation_size(oid)), 0) FROM pg_class WHERE relkind IN ('r', 'm', 'i', 't')"
_NO_ARCHIVE: Final = "false"
_ENDS: Final = re.compile(r"\b(?:FATAL|PANIC):")
# As the server says it in the C locale. A program of restore_command that ends above 125 gives no file and no word of one.
_OF_OTHERS: Final = re.compile(
    r"could not restore file|No space left on device|Disk quota exceeded|Input/output error|Cannot allocate memory|out of memory"
    r"|Too many open files|terminated by signal 9\b|the database system is|too many clients|role \"[^\"]*\" does not exist"
)
_STATES_OF_OTHERS: Final = ("53", "57", "58030")  # insufficient resources, operator intervention, io_error
_BAD_PAGE: Final = re.compile(r"checksum verification failed|could not read block \d+ in file .*: read \d+ of")
_SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": "",
    "archive_mode": "off",
    "hot_standby": "on",
    "shared_buffers": "32MB",
    "shared_preload_libraries": "",
    "logging_collector": "off",
    "log_destination": "stderr",
    "ssl": "off",
    "cluster_name": "",
    "primary_conninfo": "",
    "primary_slot_name": "",
    "recovery_target": "immediate",
    "recovery_target_action": "pause",
    "recovery_target_timeline": "current",  # of the backup: the newest one may have left before the backup's end
    "synchronous_standby_names": "",
    "unix_socket_permissions": "0700",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was found in the copy."""

    databases: int
    relations: int
    bytes: int
    checksums: str  # what the check of all pages said


@dataclass(slots=True)
class _Outcome:
    finished: Finished | None = None
    error: Exception | None = None
    said: list[str] = field(default_factory=list)


def look_into(instance: Instance, job: JobHandle, directory: Path, *, restore_command: str | None) -> Seen:
    """Start the copy in ``directory``, read in each database, stop it, and check its pages where they have checksums.

    :param restore_command: ``None``: there is no way to fetch WAL, so that a copy that does not start may lack nothing else.
    :raises FoundBadError: it does not come up, or something in it cannot be read, by a fault of its own.
    :raises HacoreError: it could not be looked into, by one of the archive or of this machine.
    """
    found = ControlReader(directory).read(instance.programs)
    control = found.control
    if control.major_version != instance.programs.major:
        raise HacoreError(f"{directory}: of PostgreSQL {control.major_version}, the programs here are of {instance.programs.major}")
    sockets = make_place_for_sockets(directory)
    settings = {**_SETTINGS, **{name: str(value) for name, value in found.limits.items()}}  # with less it would not replay
    _prepare(directory, {**settings, "unix_socket_directories": str(sockets), "restore_command": restore_command or _NO_ARCHIVE})
    outcome = _Outcome()
    thread = threading.Thread(target=_serve, args=(instance, job, directory, outcome), name="scratch server", daemon=True)
    thread.start()
    try:
        _wait_consistent(job, directory, outcome, has_archive=restore_command is not None)
        job.progress("reads the restored copy")
        databases, relations, size = _read(instance, sockets, job)
    finally:
        _end(directory, thread)
        shutil.rmtree(sockets, ignore_errors=True)
    job.check()
    checked = _check_pages(instance, job, directory) if control.data_checksums else "pages have no checksums"
    return Seen(databases=databases, relations=relations, bytes=size, checksums=checked)


def is_its_own_fault(said: str) -> bool:
    """Tell whether a server has ended, or refused a session, for what it has found in its data directory."""
    return _ENDS.search(said) is not None and _OF_OTHERS.search(said) is None


def make_place_for_sockets(directory: Path) -> Path:
    """Make a directory that nobody else can enter, beside the copy unless the path of a socket would be too long there."""
    sockets = directory.with_name(f"{directory.name}.run")
    if len(os.fsencode(sockets / _SOCKET)) > _LONGEST_SOCKET:
        return Path(tempfile.mkdtemp(prefix="hacore-"))
    sockets.mkdir(mode=0o700)
    return sockets


def _prepare(directory: Path, settings: Mapping[str, str]) -> None:
    """Make it whole, and take away every setting of where it comes from: only what stands here counts."""
    make_wal_directory(directory)
    for name in ("postmaster.pid", "postmaster.opts", "standby.signal", "postgresql.auto.conf"):
        remove_durably(directory / name)
    slots = directory / "pg_replslot"
    for slot in slots.iterdir() if slots.is_dir() else ():
        shutil.rmtree(slot)
    quoted = {name: value.replace("'", "''") for name, value in settings.items()}
    write_durably(directory / "postgresql.conf", "".join(f"{name} = '{value}'\n" for name, value in quoted.items()))
    write_durably(directory / "pg_hba.conf", _HBA)
    write_durably(directory / "pg_ident.conf", "")
    write_durably(directory / "recovery.signal", "")


def _serve(instance: Instance, job: JobHandle, directory: Path, outcome: _Outcome) -> None:
    argv = (instance.programs.path("postgres"), "-D", str(directory))
    try:
        outcome.finished = job.run(argv, environment=dict(ENVIRONMENT), on_line=outcome.said.append, cwd=str(directory))
    except (HacoreError, OSError) as error:
        outcome.error = error


def _wait_consistent(job: JobHandle, directory: Path, outcome: _Outcome, *, has_archive: bool) -> None:
    until = time.monotonic() + _START_S
    while True:
        job.check()
        if outcome.finished is not None or outcome.error is not None:
            raise _unstarted(outcome, has_archive=has_archive)
        file = read_pid_file(directory / "postmaster.pid")
        if file is not None and file.status == READY:
            return
        if time.monotonic() >= until:
            raise HacoreError(f"the restored copy is not consistent after {_START_S:.0f} s")
        job.wait(_LOOK_S)


def _unstarted(outcome: _Outcome, *, has_archive: bool) -> HacoreError:
    said = " | ".join(line.strip() for line in outcome.said)
    reason = f"the restored copy does not start: {outcome.error or said[-_TOLD:]}"
    if not has_archive:
        return HacoreError(f"{reason}; this node knows no archive from which it could fetch WAL")
    was_killed = outcome.finished is None or outcome.finished.exit_code < 0
    return HacoreError(reason) if was_killed or not is_its_own_fault(said) else FoundBadError(reason, may_lack_wal=True)


def _read(instance: Instance, sockets: Path, job: JobHandle) -> tuple[int, int, int]:
    """Look into every database that takes connections."""
    superuser = superuser_name(instance.settings.authentication.superuser)
    base = {"host": str(sockets), "port": "5432", "user": superuser}
    names = [row[0] for row in _ask(base, "template1", _DATABASES, job)]
    relations = size = 0
    for name in names:
        ((count, number),) = _ask(base, str(name), _RELATIONS, job)
        relations, size = relations + int(count), size + int(number)
    return len(names), relations, size


def _ask(base: Mapping[str, str], database: str, sql: str, job: JobHandle) -> list[Row]:
    session = Connection({**base, "dbname": database}, statement_timeout_s=_READ_S)
    try:
        return session.query(sql, timeout_s=_READ_S, check=job.check)
    except JobCancelledError:
        raise
    except QueryError as error:
        raise _unread(database, error, is_fault=not (error.sqlstate or "").startswith(_STATES_OF_OTHERS)) from error
    except PostgresUnreachableError as error:
        raise _unread(database, error, is_fault=is_its_own_fault(str(error))) from error
    finally:
        session.close()


def _unread(database: str, error: PostgresUnreachableError, *, is_fault: bool) -> HacoreError:
    return (FoundBadError if is_fault else HacoreError)(f"the restored copy: database {database} cannot be read: {error}")


def _end(directory: Path, thread: threading.Thread) -> None:
    """Stop it in order; the job's own end would be a smart stop, which waits for sessions."""
    file = read_pid_file(directory / "postmaster.pid")
    if file is not None and parent_of(file.pid) is not None:
        os.kill(file.pid, signal.SIGINT)
    thread.join(_STOP_S)


def _check_pages(instance: Instance, job: JobHandle, directory: Path) -> str:
    job.progress("checks the pages of the restored copy")
    finished = job.run((instance.programs.path("pg_checksums"), "--check", "-D", str(directory)), environment=dict(ENVIRONMENT))
    said = finished.output.strip()
    if _BAD_PAGE.search(said):
        raise FoundBadError(f"the restored copy: pages are damaged: {said[-_TOLD:]}")
    if finished.exit_code != 0:
        raise HacoreError(f"the restored copy: its pages could not be checked: {said[-_TOLD:]}")
    return "all pages have the right checksums"
