"""What has happened on this node or in its cluster, as it is told to listeners and kept in the journal."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EventKind(StrEnum):
    """Of what has happened. ``data`` of the event names what is written behind each."""

    STARTED = "started"  # PostgreSQL runs after a start, or was adopted; ``adopted``
    STOPPED = "stopped"  # it was stopped by the agent
    RESTARTED = "restarted"
    RELOADED = "reloaded"
    CRASHED = "crashed"  # it ended by itself
    ROLE_CHANGED = "role_changed"  # ``previous``
    LEADER_CHANGED = "leader_changed"  # ``previous``, ``leader``
    SWITCHOVER = "switchover"  # this node has taken over as planned; ``previous``, ``began``, and for each step ``STEP_ms``, ``total_ms``
    FAILOVER = "failover"  # this node has taken over, not as planned; the same
    HANDED_OVER = "handed_over"  # this node has given the lead away as planned; the same with ``candidate``
    BOOTSTRAPPED = "bootstrapped"  # this node has created the cluster
    REPLICA_CREATED = "replica_created"  # ``took_ms``
    RESTORED = "restored"  # the cluster was taken back to a point in time, here; ``took_ms``
    REWOUND = "rewound"  # its local WAL that the leader does not have was taken back; ``took_ms``
    JOB_FAILED = "job_failed"  # ``job``, ``error``
    FENCED = "fenced"  # the guard has ended PostgreSQL
    CONFIG_CHANGED = "config_changed"
    PAUSED = "paused"
    RESUMED = "resumed"
    ARCHIVE_CONFLICT = "archive_conflict"  # the archive is another cluster's, nothing is pushed; ``archive``, ``owner``
    ARCHIVE_FAILING = "archive_failing"  # WAL is kept here because it cannot be pushed; ``archive``, ``error``
    ARCHIVE_RECOVERED = "archive_recovered"  # neither any more; ``archive``
    BACKUP_COMPLETED = "backup_completed"  # ``work`` (``backup``, ``verify``, ``expire``), ``backup``, ``on``, ``took_s``, ``detail``
    BACKUP_FAILED = "backup_failed"  # the same with ``error`` and ``failures`` in a row
    DCS_LOST = "dcs_lost"  # ``error``
    DCS_BACK = "dcs_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that has happened. ``role`` is in the field's words: ``primary``, ``replica``, ``demoted``, ``uninitialized``."""

    id: int  # grows with each event of this node, across restarts of the agent
    at: datetime  # UTC, for people
    kind: EventKind
    scope: str
    member: str
    role: str
    token: int | None = None  # fencing token, where this node holds the lease
    timeline: int | None = None
    data: tuple[tuple[str, str | int | bool], ...] = ()

    def get(self, name: str) -> str | int | bool | None:
        """Return one value of ``data``."""
        return next((value for key, value in self.data if key == name), None)
