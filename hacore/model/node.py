"""What this node's PostgreSQL, its data directory and its guard answered. ``None`` means "not known": never zero, never false."""

from dataclasses import dataclass, field
from enum import StrEnum

from hacore.model.archive import ArchiveState
from hacore.model.clock import Instant
from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory


class Role(StrEnum):
    """Of a server: out of, or in, recovery (``pg_is_in_recovery()``)."""

    PRIMARY = "primary"
    STANDBY = "standby"


class ServerState(StrEnum):
    """Of the server process, as the guard and a connection tell."""

    STOPPED = "stopped"  # no process of this data directory lives
    STARTING = "starting"  # a postmaster lives, it takes no connections yet
    RUNNING = "running"  # it answered a query in time
    UNREACHABLE = "unreachable"  # it has taken connections before and does not answer now
    STOPPING = "stopping"  # a stop was asked for and has not ended
    ORPHANED = "orphaned"  # the postmaster has gone, processes of it live: writes have NOT ended


class DirectoryState(StrEnum):
    """Of the data directory."""

    EMPTY = "empty"  # absent or without any file
    INITIALIZED = "initialized"  # version file and control file are there and belong together
    UNFINISHED = "unfinished"  # marked: initdb, a replica method, a restore or a rewind did not come to its end
    BROKEN = "broken"  # something is there that is not a data directory, or its control file cannot be read


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlData:
    """Facts of ``pg_controldata`` (PostgreSQL documentation, same name)."""

    system_id: str
    state: str  # ``in production``, ``shut down``, ``shut down in recovery``, ``in archive recovery``, ...
    timeline: int  # of the latest checkpoint
    checkpoint_lsn: Lsn  # latest checkpoint location
    redo_lsn: Lsn
    min_recovery_lsn: Lsn | None = None
    min_recovery_timeline: int | None = None
    data_checksums: bool = False
    wal_log_hints: bool = False
    wal_segment_bytes: int = 16 * 1024 * 1024
    major_version: int = 0

    @property
    def is_clean_primary_shutdown(self) -> bool:
        """Tell whether a primary was shut down in order: its shutdown checkpoint is the end of its WAL."""
        return self.state == "shut down"

    @property
    def was_primary(self) -> bool:
        """Tell whether the server was out of recovery when it was last alive."""
        return self.state in {"in production", "shutting down", "shut down", "in crash recovery"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDirectory:
    """What lies on the disk."""

    state: DirectoryState
    control: ControlData | None = None
    has_standby_signal: bool = False
    mark: str | None = None  # which work did not come to its end
    wal_end: Lsn | None = None  # end of all local WAL, also what is not replayed; only where the server is stopped
    wal_end_timeline: int | None = None
    history: TimelineHistory | None = None  # of the newest local timeline
    free_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """What a standby streams from, or shall stream from."""

    member: str | None  # name of the member; ``None``: nobody, it only replays what it has
    host: str = ""
    port: int = 5432
    slot: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotState:
    """One replication slot of this server."""

    name: str
    is_physical: bool
    active: bool
    restart_lsn: Lsn | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WalSender:
    """One row of ``pg_stat_replication``."""

    usename: str
    application_name: str
    client_addr: str | None
    state: str
    sync_state: str
    sync_priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceState:
    """What the guard says of itself."""

    reachable: bool = True
    armed: bool = False
    token: int | None = None  # under which it is armed, or has fired
    fired: bool = False  # latched until a larger token arms it
    coverage: str = "full"  # ``full``, ``partial`` (a server that somebody else started) or ``none`` (pause)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """One reading of this node. Positions come from one query."""

    read_at: Instant
    server: ServerState
    directory: DataDirectory
    fence: FenceState = field(default_factory=FenceState)
    role: Role | None = None
    pid: int | None = None
    server_version: int | None = None
    postmaster_start_time: str | None = None
    system_id: str | None = None
    timeline: int | None = None
    flushed_lsn: Lsn | None = None  # primary: pg_current_wal_flush_lsn
    received_lsn: Lsn | None = None  # standby: durable here, also what is not replayed yet
    replayed_lsn: Lsn | None = None
    replayed_at: str | None = None
    replay_paused: bool = False
    replay_blocked: bool = False  # PostgreSQL has paused it: it has less of a setting than its primary, a restart brings it level
    replication_state: str | None = None  # ``streaming`` or ``in archive recovery``
    history: TimelineHistory | None = None
    upstream: Upstream | None = None  # in force (primary_conninfo, primary_slot_name); of one that starts: as it was written
    upstream_reachable: bool | None = None  # a wal receiver is streaming
    slots: tuple[SlotState, ...] = ()
    senders: tuple[WalSender, ...] = ()
    pending_restart: tuple[tuple[str, str, str], ...] = ()  # setting, old value, new value
    settings_wanted: bool = False  # written settings differ from those in force: a reload is due
    last_start_failed: str | None = None  # why the last start did not come up
    archive: ArchiveState | None = None  # ``None``: no archive plugin, or not looked at yet

    @property
    def is_primary(self) -> bool:
        """Tell whether the server answered that it is out of recovery."""
        return self.role is Role.PRIMARY

    @property
    def cannot_write(self) -> bool:
        """Tell whether the server is down, or answered as a standby. Work in flight may change that (``World.may_begin_to_write``)."""
        return self.server is ServerState.STOPPED or (self.server is ServerState.RUNNING and self.role is Role.STANDBY)

    @property
    def lsn(self) -> Lsn | None:
        """Return the durable end of this node's WAL as far as it is known: the position that counts in an election."""
        if self.role is Role.PRIMARY:
            return self.flushed_lsn
        known = [lsn for lsn in (self.received_lsn, self.replayed_lsn) if lsn is not None]
        return max(known, default=None)

    @property
    def parent(self) -> tuple[int, int] | None:
        """Return which timeline this node's own one left, and where."""
        history = self.history
        if history is None or history.timeline != self.timeline or not history.switches:
            return None
        return history.switches[-1].timeline, int(history.switches[-1].switchpoint)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerState:
    """What another member answered when asked directly (``GET /patroni``)."""

    name: str
    reachable: bool
    role: Role | None = None
    state: str | None = None
    timeline: int | None = None
    lsn: Lsn | None = None
    failover_priority: int = 1
    nofailover: bool = False
    refuses_election: bool = False  # also a required watchdog that does not work
    is_hacore: bool = False
    system_id: str | None = None
    streams: bool | None = None  # a standby: WAL arrives by streaming; ``None``: not known
