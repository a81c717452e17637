"""What a person asked of this node through REST or the command line. It stands in the world until a rule has answered it."""

from dataclasses import dataclass
from datetime import datetime

from hacore.model.clock import Instant
from hacore.model.recovery import RecoveryTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartCommand:
    """Restart PostgreSQL, at once or at ``schedule``. Conditions are looked at when it is due (interface reference 4.6)."""

    id: str
    received_at: Instant
    schedule: datetime | None = None
    role: str | None = None  # ``primary`` or ``replica``
    postgres_version: int | None = None  # only a server older than this (server_version_num)
    timeout_s: float | None = None
    restart_pending: bool = False  # only where a setting waits for it
    postmaster_start_time: str | None = None  # scheduled ones are dropped when it has changed


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadCommand:
    """Read the local configuration again and reload PostgreSQL."""

    id: str
    received_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class ReinitializeCommand:
    """Throw the data directory away and create it again from the leader (or another member)."""

    id: str
    received_at: Instant
    force: bool = False  # cancels work in flight
    from_leader: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownCommand:
    """The agent shall end in order: hand over at once, stop PostgreSQL; in pause leave both as they are."""

    id: str
    received_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreCommand:
    """Take the whole cluster back to a point in time, in place. A person has seen the plan and said yes."""

    id: str
    received_at: Instant
    backup: str
    target: RecoveryTarget
    along: int
    keep: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRestoreCommand:
    """End a restore that goes on: the cluster is as it was before."""

    id: str
    received_at: Instant


Command = RestoreCommand | CancelRestoreCommand | RestartCommand | ReloadCommand | ReinitializeCommand | ShutdownCommand
