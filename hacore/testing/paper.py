"""A PostgreSQL of paper: what a loop sees of a server that does at once all that it is told. For fleets of agents; it knows no store."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from hacore.model.clock import Clock, Instant
from hacore.model.cluster import Member
from hacore.model.jobs import JobKind, JobState, Outcome
from hacore.model.lsn import Lsn
from hacore.model.memory import Memory
from hacore.model.node import (
    ControlData,
    DataDirectory,
    DirectoryState,
    FenceState,
    NodeState,
    PeerState,
    Role,
    ServerState,
    SlotState,
    Upstream,
)
from hacore.model.steps import JobStep, Promote, ReconcileSlots
from hacore.model.timeline import TimelineHistory, TimelineSwitch

SYSTEM_ID: Final = "7000000000000000001"
_BEGIN: Final = 1 << 24


@dataclass(slots=True)
class PaperCluster:
    """What the servers of one cluster have in common: their WAL, of which everybody has everything at once."""

    clock: Clock
    bytes_per_s: float = 0.0  # how fast it grows while there is a primary; 0: nobody writes
    branched_at: Instant | None = None
    history: TimelineHistory = field(default_factory=lambda: TimelineHistory(timeline=1))
    servers: dict[str, "PaperServer"] = field(default_factory=dict)

    def end(self) -> Lsn:
        """Return the end of the WAL."""
        written_s = 0.0 if self.branched_at is None else self.clock.now() - self.branched_at
        return Lsn(_BEGIN + int(written_s * self.bytes_per_s))

    def branch(self, timeline: int) -> None:
        """Go on with a new timeline; from the first one on somebody writes."""
        left = TimelineSwitch(timeline=self.history.timeline, switchpoint=self.end(), reason="no recovery target specified")
        self.branched_at = self.branched_at or self.clock.now()
        self.history = TimelineHistory(timeline=timeline, switches=(*self.history.switches, left))


class PaperServer:
    """:class:`hacore.ports.Postgres`: a running standby, until it is promoted."""

    def __init__(self, name: str, cluster: PaperCluster) -> None:
        self.name = name
        self.cluster = cluster
        self.role = Role.STANDBY
        self._upstream: Upstream | None = None
        self._slots: set[str] = set()
        cluster.servers[name] = self

    def read(self, *, timeout_s: float) -> NodeState:
        """Return the server's state."""
        del timeout_s
        cluster, end, is_primary = self.cluster, self.cluster.end(), self.role is Role.PRIMARY
        timeline, upstream = cluster.history.timeline, self._upstream
        streams = not is_primary and upstream is not None and upstream.member in cluster.servers
        return NodeState(
            read_at=cluster.clock.now(),
            server=ServerState.RUNNING,
            directory=DataDirectory(
                state=DirectoryState.INITIALIZED,
                control=ControlData(system_id=SYSTEM_ID, state="", timeline=timeline, checkpoint_lsn=end, redo_lsn=end),
            ),
            role=self.role,
            server_version=150000,
            system_id=SYSTEM_ID,
            timeline=timeline,
            flushed_lsn=end if is_primary else None,
            received_lsn=None if is_primary else end,
            replayed_lsn=None if is_primary else end,
            replication_state="streaming" if streams else None,
            history=cluster.history,
            upstream=None if is_primary else upstream,
            upstream_reachable=None if is_primary else streams,
            slots=tuple(SlotState(name=name, is_physical=True, active=is_primary, restart_lsn=end) for name in sorted(self._slots)),
        )

    def follow(self, upstream: Upstream) -> None:
        """Stream from there."""
        self._upstream = upstream

    def reload(self) -> None:
        """Bring in settings, of which it has none."""

    def reconcile_slots(self, step: ReconcileSlots) -> None:
        """Make and drop slots."""
        self._slots = self._slots - set(step.droppable) | set(step.wanted)

    def end(self, reason: str) -> None:
        """Be a standby from now on."""
        del reason
        self.role = Role.STANDBY


class PaperWorker:
    """:class:`hacore.ports.Worker`: everything is done as soon as it is asked for."""

    def __init__(self, server: PaperServer) -> None:
        self._server = server
        self._outcomes: dict[JobKind, Outcome] = {}

    def submit(self, step: JobStep, *, token: int | None = None, command: str | None = None) -> bool:
        """Promote; whatever else it is needs nothing on paper."""
        del token
        kind = JobKind.CHECKPOINT
        if isinstance(step, Promote):
            kind = JobKind.PROMOTE
            self._server.cluster.branch(step.timeline)
            self._server.role = Role.PRIMARY
        self._outcomes[kind] = Outcome(kind=kind, ended_at=self._server.cluster.clock.now(), took_s=0.0, command=command)
        return True

    def state(self) -> JobState | None:
        """Return that nothing is in flight."""
        return None

    def outcomes(self) -> tuple[Outcome, ...]:
        """Return what was done."""
        return tuple(self._outcomes.values())

    def cancel(self, reason: str) -> None:
        """Cancel nothing."""


class PaperFence:
    """:class:`hacore.ports.Fence`: it notes how near the fence has ever been."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._state = FenceState()
        self._fence_at: Instant | None = None
        self.least_left_s: float | None = None  # of the time until F - D, whenever it was moved

    def state(self) -> FenceState:
        """Return whether it is armed; it has fired once its time has come."""
        if self._fence_at is not None and self._clock.now() >= self._fence_at:
            self._state = replace(self._state, armed=False, fired=True)
        return self._state

    def arm(self, *, token: int, fence_at: Instant, budget_s: float) -> None:
        """Arm it."""
        del budget_s
        self._state, self._fence_at = FenceState(armed=True, token=token), fence_at

    def extend(self, fence_at: Instant) -> None:
        """Move it."""
        if self._fence_at is not None:
            left_s = self._fence_at - self._clock.now()
            self.least_left_s = left_s if self.least_left_s is None else min(self.least_left_s, left_s)
        self._fence_at = fence_at

    def disarm(self, reason: str) -> None:
        """Take it away."""
        del reason
        self._state, self._fence_at = FenceState(), None


class PaperPeers:
    """:class:`hacore.ports.Peers`: every server of the cluster answers."""

    def __init__(self, cluster: PaperCluster) -> None:
        self._cluster = cluster

    def ask(self, members: Sequence[Member], *, timeout_s: float) -> tuple[PeerState, ...]:
        """Ask all."""
        del timeout_s
        return tuple(self._answer(member.name) for member in members)

    def _answer(self, name: str) -> PeerState:
        server = self._cluster.servers.get(name)
        if server is None:
            return PeerState(name=name, reachable=False)
        return PeerState(
            name=name,
            reachable=True,
            role=server.role,
            state="running",
            timeline=self._cluster.history.timeline,
            lsn=self._cluster.end(),
            is_hacore=True,
            system_id=SYSTEM_ID,
        )


class PaperDisk:
    """:class:`hacore.ports.Disk`, for as long as the process lives."""

    def __init__(self) -> None:
        self._memory = Memory()

    def load(self) -> Memory:
        """Read."""
        return self._memory

    def store(self, memory: Memory) -> None:
        """Write."""
        self._memory = memory
