"""The part of one machine that outlives its agent: clock, disk, guard and server, and where the others are."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from hacore.model.memory import Memory
from hacore.model.node import Role, Upstream
from hacore.model.policy import Tags
from hacore.testing.simulation.clock import NodeClock
from hacore.testing.simulation.engine import Engine, Gate
from hacore.testing.simulation.guard import Guard
from hacore.testing.simulation.network import Network
from hacore.testing.simulation.server import Server
from hacore.testing.simulation.session import Leases
from hacore.testing.simulation.store import Store
from hacore.testing.simulation.traffic import Traffic
from hacore.testing.simulation.wal import Directory
from hacore.testing.simulation.wire import SessionFaults


@dataclass(slots=True)
class JobFaults:
    """What goes wrong with long work on one machine."""

    bootstrap_fails: int = 0  # so many times
    copy_fails: int = 0
    rewind_fails: int = 0
    copy_s: float = 0.0  # longer by this
    checkpoint_s: float = 0.0
    start_fails: int = 0
    start_s: float = 0.0  # until the guard is asked for a server
    drain_s: float = 0.0
    gate_vetoes: bool = False  # a plugin says no to switchovers and promotions
    promotion_kills: bool = False  # a server that was told to leave recovery does not answer, and is ended


class HostJudge:
    """Who watches a machine; by default nobody."""

    def wiping(self, host: "Host") -> None:
        """Learn that a data directory is about to be thrown away."""

    def copied(self, host: "Host", source: Server) -> None:
        """Learn that a data directory was made from another."""

    def new_system_id(self) -> str:
        """Return an identifier for a new database system."""
        return "7000000000000000001"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all machines share."""

    engine: Engine
    network: Network
    store: Store
    judge: HostJudge
    trace: Callable[[str, str], None]  # who, what


class Host:
    """Everything of one machine but its agent."""

    def __init__(self, around: Surroundings, name: str, *, tags: Tags, rate: float) -> None:
        engine = around.engine
        self.around = around
        self.name = name
        self.tags = tags
        self.network = around.network
        self.judge = around.judge
        self.clock = NodeClock(engine, rate=rate)
        self.gate = Gate()  # closed while the whole machine is frozen
        self.agent_gate = Gate()  # closed while the agent is stopped
        self.server = Server(engine, around.network, name, self.gate)
        self.guard = Guard(engine, self.clock, self.server)
        self.memory = Memory()
        self.disk_is_full = False
        self.refused_election_at = -math.inf  # when the agent last said that it may not lead ...
        self.refuses_election = False  # ... and whether it says so still
        self.leases = Leases()
        self.session_faults = SessionFaults()
        self.traffic = Traffic(engine)
        self.job_faults = JobFaults()
        self.backup: Directory | None = None  # what a replica method that needs no leader restores
        self.asides: dict[str, Directory] = {}  # what restores have moved out of the way, by their id
        self.is_on = False
        self.boots = 0
        self.find_host: Callable[[str | None], Host | None] = lambda _: None

    def find(self, name: str | None) -> Server | None:
        """Return the server of another machine."""
        host = self.find_host(name)
        return host.server if host is not None and host.is_on else None

    def note(self, text: str) -> None:
        """Write a line of the trace."""
        self.around.trace(self.name, text)

    # --- what the worker asks of the guard --------------------------------------------------------------------------

    def guard_start(self, role: Role, upstream: Upstream | None, token: int | None) -> str | None:
        """Have the guard execute a postmaster; answer why not."""
        guard = self.guard
        if not guard.is_alive or guard.is_stopped:
            return "the guard does not answer"
        if role is Role.PRIMARY:
            refusal = guard.deadline.refusal_of_primary(token)
            if refusal is not None:
                return refusal
        self.server.start(role, upstream)
        return None

    def guard_promote(self, claimed: tuple[int, ...], token: int | None) -> str | None:
        """Have the guard send the signal; answer why not."""
        guard = self.guard
        if not guard.is_alive or guard.is_stopped:
            return "the guard does not answer"
        refusal = guard.deadline.refusal_of_primary(token)
        if refusal is None:
            self.server.promote(claimed)
        return refusal
