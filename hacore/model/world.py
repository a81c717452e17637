"""The frozen picture that one turn decides on, and the decision."""

from dataclasses import dataclass, field
from datetime import datetime

from hacore.model.clock import Instant
from hacore.model.cluster import ClusterView, Member
from hacore.model.commands import Command
from hacore.model.jobs import JobKind, JobState, Outcome
from hacore.model.lease import Lease
from hacore.model.memory import Memory, Sightings
from hacore.model.node import DirectoryState, NodeState, PeerState
from hacore.model.policy import Policy, Tags, Times
from hacore.model.steps import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """What does not change from turn to turn: who this node is."""

    name: str
    scope: str
    conn_url: str
    api_url: str
    proxy_url: str | None = None
    tags: Tags = field(default_factory=Tags)
    may_bootstrap: bool = True  # the configuration has a ``bootstrap`` section
    bootstrap_refusal: str | None = None  # why the ``bootstrap`` section cannot be used
    bootstrap_config: str | None = None  # JSON for ``/config`` where it is missing: what was last in force, else ``bootstrap.dcs``
    leaderless_methods: bool = False  # some replica method needs no leader
    drains: bool = False  # some router of this node can hold new work back


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that a decision may rest on."""

    now: Instant
    wall: datetime
    me: Me
    policy: Policy
    times: Times  # in force this turn
    cluster: ClusterView | None  # ``None``: the store could not be read
    cluster_error: str | None = None
    node: NodeState
    peers: tuple[PeerState, ...] = ()
    peers_asked: bool = False
    job: JobState | None = None
    outcomes: tuple[Outcome, ...] = ()  # newest of each kind
    commands: tuple[Command, ...] = ()
    lease: Lease | None = None  # held, as far as this node knows
    attempted_token: int | None = None  # of an acquisition whose answer was lost
    noted_unfenced: bool = False  # the own record, as it was last written under the lease, names this node as not fenced
    memory: Memory
    memory_fault: str | None = None  # why the disk did not take it
    sightings: Sightings

    @property
    def refuses_election(self) -> str | None:
        """Return why this node may not lead, whatever its tags and its data: it could not keep what a leader must, or not become one."""
        return self.policy.refuses_election or self.memory_fault or self._failed_promotion

    @property
    def _failed_promotion(self) -> str | None:
        """Tell of a promotion that has failed: for ``ttl`` everybody else comes first, then it is tried again."""
        last = self.outcome(JobKind.PROMOTE)
        if last is None or last.is_done or self.node.is_primary or self.now - last.ended_at >= self.times.ttl_s:
            return None
        return f"its last promotion failed: {last.error}"

    @property
    def may_begin_to_write(self) -> bool:
        """Tell whether the work in flight makes a primary: that no server runs meanwhile is no proof that writes have ended."""
        return self.job is not None and self.job.enables_writes

    def outcome(self, kind: JobKind) -> Outcome | None:
        """Return how work of ``kind`` ended last, if it ever ran."""
        return next((outcome for outcome in self.outcomes if outcome.kind is kind), None)

    def peer(self, name: str | None) -> PeerState | None:
        """Return what the member called ``name`` answered this turn."""
        return next((peer for peer in self.peers if peer.name == name), None)

    @property
    def is_new_copy(self) -> bool:
        """Tell whether the directory was copied and has not run since: its control file is that of the primary it was copied from."""
        copied = self.outcome(JobKind.CREATE_REPLICA)
        return copied is not None and copied.is_done and not self._has_run_since(copied.ended_at)

    @property
    def is_down_for_copy(self) -> bool:
        """Tell whether the server was stopped for a copy, and has not run since: of a new one, or one refused before anything was lost."""
        copied, directory = self.outcome(JobKind.CREATE_REPLICA), self.node.directory
        is_refused = copied is not None and not copied.is_done and copied.command is not None
        is_kept = is_refused and directory.state is DirectoryState.INITIALIZED and directory.has_standby_signal
        return copied is not None and (copied.is_done or is_kept) and not self._has_run_since(copied.ended_at)

    @property
    def is_down_for_restart(self) -> bool:
        """Tell whether the server has data and has not run since a restart of it failed that a person asked for."""
        restarted = self.outcome(JobKind.RESTART)
        is_failed = restarted is not None and not restarted.is_done and restarted.command is not None
        is_whole = self.node.directory.state is DirectoryState.INITIALIZED
        return restarted is not None and is_failed and is_whole and not self._has_run_since(restarted.ended_at)

    @property
    def is_down_for_promotion(self) -> bool:
        """Tell whether a promotion that failed has ended the server, which is a standby's still and has not run since."""
        promoted, directory = self.outcome(JobKind.PROMOTE), self.node.directory
        is_failed = promoted is not None and not promoted.is_done
        is_kept = directory.state is DirectoryState.INITIALIZED and directory.has_standby_signal
        return promoted is not None and is_failed and is_kept and not self._has_run_since(promoted.ended_at)

    def _has_run_since(self, instant: Instant) -> bool:
        """Tell by the server itself: a start that has outlasted its limit goes on."""
        return self.sightings.running_at is not None and self.sightings.running_at >= instant

    @property
    def others(self) -> tuple[Member, ...]:
        """Return the other members' records."""
        return tuple(member for member in self.cluster.members if member.name != self.me.name) if self.cluster else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one rule says. ``wake_after_s`` shortens the wait for the next turn; 0 means at once."""

    reason: str
    steps: tuple[Step, ...] = ()
    wake_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer of the first rule that had one, with its name and its table."""

    table: str
    rule: str
    reason: str
    steps: tuple[Step, ...] = ()
    wake_after_s: float | None = None
