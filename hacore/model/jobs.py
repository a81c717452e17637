"""Long work on one node: at most one at a time, cancellable, observed by the next turn."""

from dataclasses import dataclass
from enum import StrEnum

from hacore.model.clock import Instant


class JobKind(StrEnum):
    """Of long work."""

    BOOTSTRAP = "bootstrap"  # initdb or a custom method, first start, roles, post_bootstrap
    CREATE_REPLICA = "create_replica"
    REWIND = "rewind"
    CRASH_RECOVERY = "crash_recovery"  # single-user start of a former primary, so that it can be rewound
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    PROMOTE = "promote"
    CHECKPOINT = "checkpoint"
    DRAIN = "drain"  # routers hold new work back before a planned stop
    RESTORE = "restore"  # from a backup, in place, up to a point in time


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """The work that is in flight."""

    kind: JobKind
    started_at: Instant
    progress: str | None = None  # for people: ``12 of 40 MiB``
    cancelled: bool = False
    enables_writes: bool = False  # it promotes, or starts a primary: it must not outlive the lease
    command: str | None = None  # id of the command that asked for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How work of a kind ended last."""

    kind: JobKind
    ended_at: Instant
    took_s: float
    error: str | None = None  # ``None``: it was done
    failures: int = 0  # of this kind in a row, this one included
    command: str | None = None  # id of the command that asked for it
    needs_person: bool = False  # it failed on what only a person can tell: the data stay as they are

    @property
    def is_done(self) -> bool:
        """Tell whether the work came to its end."""
        return self.error is None
