"""Whether Barman is connected to the slot by which it receives WAL, asked of the server of this node."""

import contextlib
from dataclasses import dataclass
from typing import Final

import psycopg2

from hacore.hookspecs import ArchiveRequest, BackupSite
from hacore.interfaces import Metric
from hacore.model.clock import Clock, Instant

_CONNECT_S: Final = 2  # libpq takes no less
_STATEMENT_MS: Final = 700
_QUERY: Final = (
    "SELECT pg_is_in_recovery(), (SELECT active FROM pg_replication_slots WHERE slot_name = %s AND slot_type = 'physical'),"
    " (SELECT pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn)"
    " FROM pg_replication_slots WHERE slot_name = %s)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """How the server of this node is reached."""

    directory: str
    port: int
    superuser: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What was seen on the leader. ``None``: not known."""

    exists: bool | None = None
    away_s: float | None = None  # for how long nobody has been connected, as far as this node has seen
    kept_bytes: int | None = None  # WAL that the server keeps for the slot


class SlotWatch:
    """Remembers when somebody was last connected to the slot; one thread asks."""

    def __init__(self, slot: str, clock: Clock) -> None:
        self._slot, self._clock = slot, clock
        self._connected_at: Instant | None = None

    def look(self, place: Socket) -> Sight | None:
        """Ask the server; ``None``: it is no primary, or does not answer."""
        try:
            in_recovery, active, kept = self._ask(place)
        except psycopg2.Error:
            return None
        if in_recovery:
            self._connected_at = None
            return None
        now = self._clock.now()
        if active or self._connected_at is None:
            self._connected_at = now
        return Sight(exists=active is not None, away_s=now - self._connected_at, kept_bytes=None if kept is None else int(kept))

    def _ask(self, place: Socket) -> tuple[bool, bool | None, int | None]:
        connection = psycopg2.connect(
            host=place.directory, port=place.port, user=place.superuser, dbname="postgres", connect_timeout=_CONNECT_S,
            application_name="hacore_barman", options=f"-c statement_timeout={_STATEMENT_MS}",
        )  # fmt: skip
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(_QUERY, (self._slot, self._slot))
            found = cursor.fetchone()
        if found is None:
            raise psycopg2.DatabaseError("no row")
        return found


class SlotReport:
    """What is shown of the slot; nothing where none is named, or before a request has said where the server is."""

    def __init__(self, slot: str | None, clock: Clock) -> None:
        self._slot, self._watch = slot, None if slot is None else SlotWatch(slot, clock)
        self._socket: Socket | None = None
        self._seen: Sight | None = None

    def remember(self, request: ArchiveRequest | BackupSite) -> None:
        """Take from a request where the server of this node is."""
        if request.socket_dir is not None:
            self._socket = Socket(directory=request.socket_dir, port=request.port, superuser=request.superuser)

    def samples(self) -> tuple[Metric, ...]:
        """Ask, and return what was seen."""
        if self._watch is None or self._socket is None:
            return ()
        self._seen = seen = self._watch.look(self._socket)
        if seen is None:
            return ()
        values = {
            "barman_slot_exists": ("The slot of Barman is there", None if seen.exists is None else float(seen.exists)),
            "barman_slot_away_seconds": ("Nobody has been connected to the slot of Barman for so long", seen.away_s),
            "barman_slot_kept_bytes": ("WAL that the server keeps for Barman", seen.kept_bytes),
        }
        return tuple(Metric(name=name, help=text, value=value) for name, (text, value) in values.items() if value is not None)

    def words(self) -> str | None:
        """Say what was seen last."""
        if self._seen is None:
            return None
        if not self._seen.exists:
            return f"{self._slot} does not exist: Barman receives nothing"
        return f"Barman not connected for {self._seen.away_s:.0f} s" if self._seen.away_s else "Barman is connected"
