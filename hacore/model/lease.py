"""The right to be primary, and how long it lasts (safety.md 3)."""

from dataclasses import dataclass

from hacore.model.clock import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The leader lock as a store shows it: present and not expired."""

    holder: str
    instance: str  # tells one holding from the next, also of the same holder


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The lock while this node holds it. All instants count from *before* the last successful renewal was sent."""

    lock: Lock
    token: int  # the fencing token: grows by one at each acquisition
    sent_at: Instant
    ttl_s: float
    margin_s: float  # M: our view ends before the server's
    budget_s: float  # D: what a forced fence may take

    @property
    def ends_at(self) -> Instant:
        """F: from here on no process of this node may acknowledge a commit."""
        return self.sent_at + self.ttl_s - self.margin_s

    @property
    def fence_at(self) -> Instant:
        """F - D: where the guard starts the forced fence, whatever the agent is doing."""
        return self.ends_at - self.budget_s
