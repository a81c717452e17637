"""What the leader's server says of itself and its history, asked before anything local is thrown away."""

from dataclasses import dataclass
from typing import Final

from hacore.config.settings import ConnectionSettings
from hacore.errors import PostgresUnreachableError
from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory
from hacore.postgres.connection import Connection
from hacore.postgres.conninfo import endpoint, options_of
from hacore.postgres.history import FIRST, name_of, parse_history
from hacore.postgres.instance import Instance, superuser_name

_TIMEOUT_S: Final = 5.0
_FACTS: Final = """SELECT pg_is_in_recovery(), (pg_control_system()).system_identifier::text, (pg_control_checkpoint()).timeline_id,
    CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_walfile_name(pg_current_wal_insert_lsn()) END,
    CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_flush_lsn()::text END"""
_IDENTIFY: Final = "IDENTIFY_SYSTEM"
_IN_RECOVERY: Final = "SHOW in_hot_standby"
_IN_RECOVERY_13: Final = "SHOW transaction_read_only"  # in_hot_standby is of PostgreSQL 14
_IN_HOT_STANDBY_SINCE: Final = 14
_IS_BEHIND: Final = "SELECT pg_current_wal_flush_lsn() < %s::pg_lsn"
# A transaction, so that it is flushed; it waits for no standby.
_WRITE: Final = "SELECT set_config('synchronous_commit', 'local', true), pg_logical_emit_message(true, 'hacore', '')"
_HISTORY: Final = "SELECT convert_from(pg_read_binary_file(%s), 'UTF8')"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderFacts:
    """Of a server that is out of recovery."""

    system_id: str
    lsn: Lsn
    history: TimelineHistory
    is_checkpointed: bool  # its control file knows its timeline, so that pg_rewind can


def rewind_dsn(instance: Instance, host: str, port: int) -> dict[str, str]:
    """Return how the rewind user reaches a server, without the password."""
    connection = instance.settings.authentication.rewind
    dsn = {"dbname": instance.settings.database, **endpoint(host, port), **options_of(connection, instance.programs.major)}
    dsn.setdefault("user", superuser_name(connection))
    return dsn


def replication_dsn(instance: Instance, host: str, port: int) -> dict[str, str]:
    """Return how the replication user reaches a server, without the password."""
    connection = instance.settings.authentication.replication
    options = options_of(connection, instance.programs.major)
    return {"dbname": instance.settings.database, **endpoint(host, port), **options, "application_name": instance.settings.name}


def let_in(instance: Instance, host: str, port: int) -> tuple[str, bool]:
    """Open a session as a copy does; return the server's system identifier, and whether it is in recovery.

    :raises PostgresUnreachableError: it does not answer, or does not let the replication user in.
    """
    dsn = replication_dsn(instance, host, port) | {"replication": "true"}
    session = _session(instance, instance.settings.authentication.replication, dsn)
    try:
        system_id: str = session.query(_IDENTIFY, timeout_s=_TIMEOUT_S)[0][0]
        question = _IN_RECOVERY if instance.programs.major >= _IN_HOT_STANDBY_SINCE else _IN_RECOVERY_13
        ((in_recovery,),) = session.query(question, timeout_s=_TIMEOUT_S)
    finally:
        session.close()
    return system_id, in_recovery == "on"


def leader_facts(instance: Instance, host: str, port: int) -> LeaderFacts:
    """Ask the leader.

    :raises PostgresUnreachableError: it does not answer, or is in recovery itself.
    """
    session = _rewind_session(instance, host, port)
    try:
        in_recovery, system_id, checkpointed, wal_file, lsn = session.query(_FACTS, timeout_s=_TIMEOUT_S)[0]
        if in_recovery:
            raise PostgresUnreachableError(f"{host}:{port}: in recovery, want the primary")
        timeline = int(wal_file[:8], 16)
        history = _history(session, timeline)
    finally:
        session.close()
    return LeaderFacts(system_id=system_id, lsn=Lsn.parse(lsn), history=history, is_checkpointed=checkpointed == timeline)


def let_leader_pass(instance: Instance, host: str, port: int, lsn: Lsn) -> bool:
    """Make a leader that has written less than ``lsn`` write a little; tell whether it was asked to.

    pg_rewind takes the leader's insert position for the point at which the copy is consistent. Of an idle leader at the beginning of a
    segment, where ``archive_timeout`` leaves it, that lies behind the page header that the next record brings: the copy would wait for it.

    :raises PostgresUnreachableError: the leader does not answer.
    """
    session = _rewind_session(instance, host, port)
    try:
        is_behind: bool = session.query(_IS_BEHIND, (str(lsn),), timeout_s=_TIMEOUT_S)[0][0]
        if is_behind:
            session.query(_WRITE, timeout_s=_TIMEOUT_S)
    finally:
        session.close()
    return is_behind


def _rewind_session(instance: Instance, host: str, port: int) -> Connection:
    return _session(instance, instance.settings.authentication.rewind, rewind_dsn(instance, host, port))


def _session(instance: Instance, connection: ConnectionSettings, dsn: dict[str, str]) -> Connection:
    dsn |= {"hostaddr": instance.address(dsn["host"])}
    if connection.password:
        dsn["password"] = connection.password
    if connection.sslpassword:
        dsn["sslpassword"] = connection.sslpassword
    return Connection(dsn, statement_timeout_s=_TIMEOUT_S)


def _history(session: Connection, timeline: int) -> TimelineHistory:
    if timeline == FIRST:
        return TimelineHistory(timeline=FIRST)
    text = session.query(_HISTORY, (f"pg_wal/{name_of(timeline)}",), timeout_s=_TIMEOUT_S)[0][0]
    try:
        return parse_history(timeline, text)
    except ValueError as error:
        raise PostgresUnreachableError(f"the leader's history cannot be read: {error}") from error
