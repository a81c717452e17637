"""The one query that tells what the server is right now (interface reference 4.3), over a connection of its own with a deadline."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from hacore.api.status import Measured
from hacore.errors import PostgresUnreachableError
from hacore.postgres.connection import Connection
from hacore.publish.picture import Sender

# Other members wait for two seconds; an answer without positions is better than none.
QUERY_S: Final = 1.5
APPLICATION_NAME: Final = "hacore restapi"

_COLUMNS: Final[Mapping[str, str]] = {
    "in_recovery": "r.r",
    "start_time": "pg_postmaster_start_time()",
    "version": "current_setting('server_version_num')::int",
    "wal_file": "CASE WHEN NOT r.r THEN pg_walfile_name(pg_current_wal_lsn()) END",
    "location": "CASE WHEN NOT r.r THEN pg_current_wal_flush_lsn() - '0/0' END",
    "written": "CASE WHEN r.r THEN w.written_lsn - '0/0' END",
    "flushed": "CASE WHEN r.r THEN greatest(w.flushed_lsn, pg_last_wal_receive_lsn()) - '0/0' END",
    "replayed": "CASE WHEN r.r THEN pg_last_wal_replay_lsn() - '0/0' END",
    "replayed_at": "pg_last_xact_replay_timestamp()",
    "paused": "CASE WHEN r.r THEN pg_is_wal_replay_paused() END",
    "receiver": "w.status",
    "receiver_timeline": "CASE WHEN r.r THEN w.received_tli END",
    "latest_end": "CASE WHEN r.r THEN w.latest_end_lsn - '0/0' END",
    "restore_command": "current_setting('restore_command', true)",
    "senders": """(SELECT json_agg(json_build_array(usename, application_name, host(client_addr), state, sync_state, sync_priority)
        ORDER BY application_name, pid) FROM (SELECT * FROM pg_stat_replication LIMIT 500) s)""",
}
QUERY: Final = f"SELECT {', '.join(_COLUMNS.values())} FROM (SELECT pg_is_in_recovery() AS r) r LEFT JOIN pg_stat_wal_receiver w ON true"  # noqa: S608 - constants of this module
_TIMELINE_DIGITS: Final = 8


class Measurer:
    """Asks the server. Used by one thread at a time."""

    def __init__(self, dsn: Callable[[], Mapping[str, str]]) -> None:
        self._dsn = dsn  # raises PostgresUnreachableError where there is nothing to connect to
        self._connected_to: Mapping[str, str] | None = None
        self._connection: Connection | None = None

    def measure(self) -> Measured | None:
        """Return what the server answers; ``None`` where it does not in time."""
        try:
            rows = self._connected().query(QUERY, timeout_s=QUERY_S)
        except PostgresUnreachableError:
            return None
        return parse(rows[0]) if rows else None

    def _connected(self) -> Connection:
        dsn = self._dsn()
        if self._connection is None or dsn != self._connected_to:
            if self._connection is not None:
                self._connection.close()
            self._connection = Connection({"application_name": APPLICATION_NAME, **dsn}, statement_timeout_s=QUERY_S)
            self._connected_to = dsn
        return self._connection


def parse(row: Sequence[Any]) -> Measured:
    """Read the one row of the answer."""
    found = dict(zip(_COLUMNS, row, strict=True))
    in_recovery = bool(found["in_recovery"])
    replayed = _number(found["replayed"])
    durable = max((one for one in (_number(found["flushed"]), replayed) if one is not None), default=None)
    return Measured(
        in_recovery=in_recovery,
        postmaster_start_time=_text(found["start_time"]),
        server_version=found["version"],
        timeline=int(found["wal_file"][:_TIMELINE_DIGITS], 16) if found["wal_file"] else found["receiver_timeline"] or None,
        location=_number(found["location"]),
        received=_number(found["written"]) or _number(found["flushed"]) if in_recovery else None,
        durable=durable,
        replayed=replayed,
        replayed_at=_text(found["replayed_at"]) if in_recovery else None,
        replay_paused=bool(found["paused"]),
        replication_state=_replication_state(found) if in_recovery else None,
        latest_end=_number(found["latest_end"]),
        senders=tuple(_sender(row) for row in found["senders"] or ()),
    )


def _replication_state(found: Mapping[str, Any]) -> str | None:
    if found["receiver"] == "streaming":
        return "streaming"
    return "in archive recovery" if found["restore_command"] else None


def _sender(row: Sequence[Any]) -> Sender:
    usename, application_name, client_addr, state, sync_state, sync_priority = row
    return Sender(
        usename=usename or "",
        application_name=application_name or "",
        client_addr=client_addr,
        state=state or "",
        sync_state=sync_state or "",
        sync_priority=sync_priority or 0,
    )


def _number(value: object) -> int | None:
    return None if value is None else int(str(value))


def _text(value: object) -> str | None:
    return value.isoformat(sep=" ", timespec="microseconds") if isinstance(value, datetime) else None
