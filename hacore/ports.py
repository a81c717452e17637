"""What the loop needs of the world outside of the store.

Real: ``postgres``, ``guard``, ``observe.peers``; simulated: ``testing.simulation``.
"""

from collections.abc import Sequence
from typing import Protocol

from hacore.model.clock import Instant
from hacore.model.cluster import Member
from hacore.model.jobs import JobState, Outcome
from hacore.model.memory import Memory
from hacore.model.node import FenceState, NodeState, PeerState, Upstream
from hacore.model.steps import JobStep


class Postgres(Protocol):
    """This node's PostgreSQL. Reading never changes it; every call ends within its limit."""

    def read(self, *, timeout_s: float) -> NodeState:
        """Read process, directory, positions and settings. Never raises for a server that does not answer: it says so in the value."""

    def follow(self, upstream: Upstream) -> None:
        """Point a running standby at ``upstream``.

        :raises PostgresUnreachableError: the server did not take it.
        """

    def reload(self) -> None:
        """Write the settings in force and reload the server."""

    def reconcile_slots(self, wanted: Sequence[str], droppable: Sequence[str]) -> None:
        """Create missing physical slots of ``wanted``; drop inactive ones of ``droppable`` that are not wanted."""

    def end(self, reason: str) -> None:
        """End every server process of the data directory: SIGQUIT, then SIGKILL. Needs no store, DNS or new thread."""


class Worker(Protocol):
    """One job at a time, on a thread of its own."""

    def submit(self, step: JobStep, *, command: str | None = None) -> bool:
        """Begin the work; ``False`` where some is in flight. Its end wakes the loop."""

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


class Disk(Protocol):
    """Where the node keeps its :class:`~hacore.model.memory.Memory`."""

    def load(self) -> Memory:
        """Read it; a fresh one where there is none."""

    def store(self, memory: Memory) -> None:
        """Write and fsync it before anything rests on it."""
