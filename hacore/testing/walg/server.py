"""The PostgreSQL server that is backed up, by libpq's own environment (``PGHOST``, ``PGPORT``, ``PGUSER``)."""

import os
from typing import Any, Final, NamedTuple

from hacore.testing.walg.settings import WalgError

_RENAMED: Final = 150000  # PostgreSQL 15 calls pg_start_backup pg_backup_start


class Stopped(NamedTuple):
    """What the server says when a backup has ended."""

    lsn: int
    label: str
    tablespace_map: str


class Server:
    """One session."""

    def __init__(self) -> None:
        import psycopg2  # noqa: PLC0415 - most commands need no server

        self._errors = psycopg2.Error
        try:
            self._connection = psycopg2.connect(dbname=os.environ.get("PGDATABASE", "postgres"))
        except psycopg2.Error as error:
            raise WalgError(f"failed to connect to the server: {str(error).strip()}") from error
        self._connection.autocommit = True
        self.version: int = self._connection.server_version

    def begin(self, label: str) -> tuple[int, int]:
        """Begin a backup and return where, and on which timeline."""
        call = "pg_backup_start(%s, true)" if self.version >= _RENAMED else "pg_start_backup(%s, true, false)"
        self._ask("SET lock_timeout = 0")
        (lsn,) = self._ask(f"SELECT {call} - '0/0'::pg_lsn", label)
        return int(lsn), self.timeline()

    def end(self) -> Stopped:
        """End the backup: waits until its WAL is archived, as the server does."""
        call = "pg_backup_stop(true)" if self.version >= _RENAMED else "pg_stop_backup(false, true)"
        lsn, label, spaces = self._ask(f"SELECT lsn - '0/0'::pg_lsn, labelfile, spcmapfile FROM {call}")  # noqa: S608 - one of two constants
        return Stopped(int(lsn), label, spaces)

    def system_identifier(self) -> int:
        """Return whose data it is."""
        return int(self._ask("SELECT system_identifier FROM pg_control_system()")[0])

    def timeline(self) -> int:
        """Return the timeline of the newest checkpoint."""
        return int(self._ask("SELECT timeline_id FROM pg_control_checkpoint()")[0])

    def position(self) -> tuple[int, int]:
        """Return the timeline and the position that the server has reached."""
        primary = "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int, pg_current_wal_lsn() - '0/0'::pg_lsn"
        standby = (
            "SELECT coalesce((SELECT received_tli FROM pg_stat_wal_receiver), (SELECT timeline_id FROM pg_control_checkpoint())),"
            " coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'::pg_lsn"
        )
        (in_recovery,) = self._ask("SELECT pg_is_in_recovery()")
        timeline, lsn = self._ask(standby if in_recovery else primary)
        return int(timeline), int(lsn)

    def _ask(self, query: str, *values: str) -> tuple[Any, ...]:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query, values)
                return tuple(cursor.fetchone() or ()) if cursor.description else ()
        except self._errors as error:
            raise WalgError(str(error).strip()) from error
