"""What every judge sees: machines, store, when the lock was held, and the promises that were broken. It trusts no record."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hacore.model.policy import Policy, Times
from hacore.testing.simulation.agent import AgentHost
from hacore.testing.simulation.engine import Engine
from hacore.testing.simulation.machine import Machine
from hacore.testing.simulation.store import Store

_CLOCK_SLACK_S: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A promise that was broken."""

    at: float
    invariant: str
    text: str

    def __str__(self) -> str:
        return f"{self.invariant} broken at {self.at:.3f}: {self.text}"


class Scene:
    """The truth about one run."""

    def __init__(self, engine: Engine, store: Store, policy: Policy, times: Times) -> None:
        self.engine = engine
        self.store = store
        self.policy = policy
        self.times = times
        self.machines: Sequence[Machine] = ()
        self.violations: list[Violation] = []
        self.paused_until = 0.0  # pause, and the time in which everybody learns of its end
        self.manual_until = 0.0  # a person has named a candidate: lag is that person's business
        self.disturbances = 0  # of network and servers
        self.established: str | None = None  # system identifier of the one cluster
        self.leaderless_at = 0.0
        self.went_back_at = -1000.0  # when the store was last wiped or restored
        self.note: Callable[[str, str], None] = lambda _who, _what: None

    def broken(self, invariant: str, text: str) -> None:
        """Note a broken promise."""
        self.violations.append(Violation(at=self.engine.now, invariant=invariant, text=text))

    def end_of(self, machine: AgentHost) -> float:
        """F of a machine in true time: from when its last request that succeeded was sent, whatever it believes itself."""
        lease = machine.leases.newest
        if lease is None:
            return 0.0
        return lease.sent_at + (lease.ttl_s - self.policy.margin(lease.ttl_s)) / machine.clock.rate + _CLOCK_SLACK_S

    def store_is_back(self) -> None:
        """Learn that the store answers again: from here on others can see that nobody leads."""
        self.leaderless_at = self.engine.now

    def machine(self, name: str) -> Machine:
        """Return the machine called ``name``."""
        return next(machine for machine in self.machines if machine.name == name)

    def number(self, record: str, field: str) -> int | None:
        """Return a number that stands in a record of the store, if it can be read."""
        text = self.store.value(record)
        try:
            found = json.loads(text)[field] if text else None
        except (ValueError, KeyError, TypeError):
            return None
        return found if isinstance(found, int) else None
