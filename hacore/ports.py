"""What the loop needs of the world outside of the store.

Real: ``postgres``, ``guard``, ``observe.peers``; simulated: ``testing.simulation``.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hacore.interfaces import Dcs
from hacore.model.clock import Clock, Instant
from hacore.model.cluster import Member
from hacore.model.jobs import JobState, Outcome
from hacore.model.memory import Memory
from hacore.model.node import FenceState, NodeState, PeerState, Upstream
from hacore.model.policy import Policy, Times
from hacore.model.steps import JobStep, ReconcileSlots
from hacore.model.world import Decision, Me, World


class Postgres(Protocol):
    """This node's PostgreSQL. Reading never changes it; every call ends within its limit."""

    def read(self, *, timeout_s: float) -> NodeState:
        """Read process, directory, positions and settings. Never raises for a server that does not answer: it says so in the value."""

    def follow(self, upstream: Upstream) -> None:
        """Point a standby that runs, or that is starting, at ``upstream``.

        :raises PostgresUnreachableError: the server did not take it.
        """

    def reload(self) -> None:
        """Write the settings in force and reload the server."""

    def reconcile_slots(self, step: ReconcileSlots) -> None:
        """Create, drop and move physical slots; one that is in use is left alone."""

    def end(self, reason: str) -> None:
        """End every server process of the data directory: SIGQUIT, then SIGKILL. Needs no store, DNS or new thread."""


class Worker(Protocol):
    """One job at a time, on a thread of its own."""

    def submit(self, step: JobStep, *, token: int | None = None, command: str | None = None) -> bool:
        """Begin the work; ``False`` where some is in flight. Its end wakes the loop.

        ``token``: fencing token of the lease under which a server may be started as primary; ``None`` where none is held.
        """

    def state(self) -> JobState | None:
        """Return the work in flight."""

    def outcomes(self) -> tuple[Outcome, ...]:
        """Return how work of each kind ended last."""

    def cancel(self, reason: str) -> None:
        """Ask the work in flight to end: SIGTERM to its processes, after 10 s SIGKILL to the tree."""


class Fence(Protocol):
    """The guard, as the loop sees it.

    :raises GuardUnavailableError: from every call: it did not answer.
    """

    def state(self) -> FenceState:
        """Return whether it is armed, or has fired."""

    def arm(self, *, token: int, fence_at: Instant, budget_s: float) -> None:
        """Arm it at acquisition, before promotion."""

    def extend(self, fence_at: Instant) -> None:
        """Move the deadline after a successful renewal: one store into shared memory."""

    def disarm(self, reason: str) -> None:
        """Take the deadline away."""


class Peers(Protocol):
    """Other members, asked directly."""

    def ask(self, members: Sequence[Member], *, timeout_s: float) -> tuple[PeerState, ...]:
        """Ask all at once (``GET api_url``); one that does not answer in time is not reachable."""


class Settings(Protocol):
    """The configuration in force."""

    def me(self) -> Me:
        """Return who this node is; changes only by a reload."""

    def policy(self, dynamic: str | None) -> Policy:
        """Merge the dynamic configuration (JSON text of ``/config``; ``None``: the record is missing) with the local one.

        Text that is broken or missing leaves the last good one in force. What PostgreSQL shall run with is handed to it on the way.
        """

    def times(self, policy: Policy, *, all_hacore: bool) -> Times:
        """Return the periods in force: hacore's own shorter ones only while every member is hacore."""

    def reload(self) -> str | None:
        """Read the local configuration again; return why it was refused as a whole, ``None`` where it is in force now."""


class Disk(Protocol):
    """Where the node keeps its :class:`~hacore.model.memory.Memory`."""

    def load(self) -> Memory:
        """Read it; a fresh one where there is none."""

    def store(self, memory: Memory) -> None:
        """Write and fsync it before anything rests on it."""


class Publisher(Protocol):
    """Somebody who is told about each turn: the REST snapshot, listeners, the journal, routers. Never changes the outcome."""

    def published(self, world: World, decision: Decision) -> None:
        """Tell about a turn after its steps were carried out. Returns at once."""

    def lease_ends(self) -> None:
        """Tell, before the lock is given back, that this node does not lead any more."""

    def lease_renewed(self, fence_at: Instant) -> None:
        """Tell the new instant of F - D."""


def _random_id() -> str:
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The outside of one agent."""

    clock: Clock
    dcs: Dcs
    postgres: Postgres
    worker: Worker
    fence: Fence
    peers: Peers
    disk: Disk
    settings: Settings
    boot_id: str
    publishers: Sequence[Publisher] = ()
    new_id: Callable[[], str] = _random_id  # makes up the identity of a store

    def lease_ends(self) -> None:
        """Tell every publisher, before the lock is given back."""
        for publisher in self.publishers:
            publisher.lease_ends()
