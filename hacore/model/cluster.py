"""What stands in the store about one cluster, read once and parsed (interface reference 3; safety.md 5)."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hacore.model.backups import BackupRecord
from hacore.model.clock import Instant
from hacore.model.lease import Lock
from hacore.model.lsn import Lsn
from hacore.model.policy import Tags
from hacore.model.recovery import RecoveryTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member record. ``None``: the record does not say."""

    name: str
    conn_url: str | None = None
    api_url: str | None = None
    proxy_url: str | None = None
    state: str = "unknown"  # interface reference 5.9
    role: str = "replica"  # ``primary``, also where the record says ``master``
    version: str | None = None
    hacore_version: str | None = None  # only hacore's own members publish it
    times: tuple[float, float, float] | None = None  # ttl, loop_wait, retry_timeout that the member runs with (hacore only)
    tags: Tags = field(default_factory=Tags)
    lsn: Lsn | None = None  # ``xlog_location``
    receive_lsn: Lsn | None = None
    replay_lsn: Lsn | None = None
    replication_state: str | None = None
    timeline: int | None = None
    pending_restart: bool = False
    pending_restart_reason: tuple[tuple[str, str, str], ...] = ()  # setting, old value, new value
    scheduled_restart: str | None = None  # JSON text as published
    pause: bool = False
    checkpoint_after_promote: bool = True  # false: the first checkpoint on the new timeline is not done yet
    unsupported: tuple[str, ...] = ()  # dynamic settings that this member ignores (hacore only)
    archive_fault: str | None = None  # why its WAL cannot be pushed (hacore only)
    is_fence_partial: bool = False  # its PostgreSQL was not started by its guard (hacore only)

    @property
    def is_hacore(self) -> bool:
        """Tell whether the member is run by hacore, so that it keeps the challenger rule."""
        return self.hacore_version is not None

    @property
    def is_running(self) -> bool:
        """Tell whether the member says that its PostgreSQL accepts connections."""
        return self.state == "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The leader's position (``/status``)."""

    optime: Lsn | None = None
    slots: tuple[tuple[str, Lsn], ...] = ()
    retain_slots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FailoverRequest:
    """A person's wish in ``/failover``: with ``leader`` a switchover, without one a failover."""

    leader: str | None = None
    candidate: str | None = None
    scheduled_at: datetime | None = None
    version: int  # revision of the record, for comparison when it is blanked

    def is_due(self, wall: datetime) -> bool:
        """Tell whether it does not wait for its time."""
        return self.scheduled_at is None or self.scheduled_at <= wall


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    """One line of ``/history``: ``timeline`` ended at ``lsn``."""

    timeline: int
    lsn: Lsn
    reason: str = ""
    timestamp: str | None = None
    new_leader: str | None = None


class RestoreState(StrEnum):
    """How far the cluster is on its way back to a point in time."""

    STOPPING = "stopping"  # members stop, standbys first
    RESTORING = "restoring"  # one member restores and recovers, the others stand still
    DONE = "done"
    FAILED = "failed"  # the cluster is as it was before


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """The newest restore in place. While it is active only ``member`` leads."""

    id: str
    member: str
    state: RestoreState
    backup: str
    target: RecoveryTarget
    along: int  # the timeline that is followed
    keep: bool  # the old directory is kept aside
    asked_at: datetime  # for people and for the limit of the stop
    timeline: int | None = None  # claimed for the newest attempt; when done, the one begun
    attempt: str | None = None  # which agent's
    error: str | None = None

    @property
    def is_active(self) -> bool:
        """Tell whether it goes on."""
        return self.state in {RestoreState.STOPPING, RestoreState.RESTORING}


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldMark:
    """A planned switchover holds new work back: written under the lock before anything is held, so that whoever comes next lets it go."""

    switchover_id: str
    token: int  # of the leader that hands over
    limit_s: float  # nobody holds anything back for longer, counted from when it first saw the mark


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRecord:
    """hacore's own record (safety.md 5), beside the field's keys."""

    store_id: str  # random, written once: tells a restored or wiped store from the one seen before
    token: int  # fencing token of the newest acquisition
    instance: str | None  # lock instance of that acquisition; ``None`` until its holder has renewed once
    holder: str
    heartbeat: int  # grows with each renewal
    ttl_s: float  # T in force
    clean: str | None = None  # lock instance that was given back with writes provably ended
    unfenced: str | None = None  # pause: only this member takes the lock
    claims: tuple[tuple[int, int], ...] = ()  # (timeline, token that claimed it), ascending
    timeline: int | None = None  # newest timeline that the holder was primary on
    parent: tuple[int, int] | None = None  # the timeline that ``timeline`` left, and where: by it ``/history`` is known to be up to date
    bootstrapping: bool = False  # written while the first member creates the cluster
    times: tuple[float, float, float] | None = None  # ttl, loop_wait, retry_timeout in force
    known_members: tuple[str, ...] = ()  # members that this cluster has seen: only their slots are ever dropped
    hold: HoldMark | None = None
    restore: Restore | None = None

    def claimed_by(self, timeline: int) -> int | None:
        """Return the token that claimed ``timeline``, ``None`` where nobody has."""
        return next((token for number, token in self.claims if number == timeline), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterView:
    """One reading of the store. A record named in ``broken`` was there and could not be understood."""

    sent_at: Instant  # before the request was sent
    revision: int | None = None  # of the whole store, where it has one
    lock: Lock | None = None
    initialize: str | None = None  # ``""`` while a bootstrap runs; else the system identifier
    initialize_version: int | None = None
    config: str | None = None  # JSON text
    config_version: int | None = None
    members: tuple[Member, ...] = ()
    status: Status = field(default_factory=Status)
    failover: FailoverRequest | None = None
    sync_leader: str | None = None  # from ``/sync``; no rule rests on it while synchronous modes do not work yet
    history: tuple[HistoryLine, ...] | None = None
    own: OwnRecord | None = None
    own_version: int | None = None
    own_received_at: Instant | None = None  # when this node first received that version
    backups: BackupRecord | None = None
    broken: frozenset[str] = frozenset()

    def member(self, name: str | None) -> Member | None:
        """Return the member called ``name``, if its record is there."""
        return next((member for member in self.members if member.name == name), None)

    @property
    def leader(self) -> Member | None:
        """Return the record of the member that holds the lock."""
        return self.member(self.lock.holder) if self.lock else None

    @property
    def timeline(self) -> int | None:
        """Return the newest timeline recorded: own record first, else ``/history`` (its last line plus one; empty means 1)."""
        recorded = [self.own.timeline] if self.own and self.own.timeline else []
        if self.history is not None:
            recorded.append(self.history[-1].timeline + 1 if self.history else 1)
        return max(recorded, default=None)

    @property
    def all_hacore(self) -> bool:
        """Tell whether every member says that it is hacore."""
        return all(member.is_hacore for member in self.members)
