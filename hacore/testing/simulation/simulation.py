"""One run: a cluster comes up, is disturbed, is left alone, and must be whole again. Everything follows from the seed."""

import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from hacore.decide import decide
from hacore.interfaces import AcquireRequest, Put, WriteRequest
from hacore.loop import Turn
from hacore.model.node import Role
from hacore.model.policy import Policy, Tags, Times
from hacore.model.world import Me
from hacore.testing.simulation.agent import AgentHost, AgentWatch, Wrong
from hacore.testing.simulation.clients import Clients
from hacore.testing.simulation.engine import Engine
from hacore.testing.simulation.host import Surroundings
from hacore.testing.simulation.judge import Judge
from hacore.testing.simulation.machine import Machine
from hacore.testing.simulation.network import Network
from hacore.testing.simulation.scene import Violation
from hacore.testing.simulation.settings import AgentSettings
from hacore.testing.simulation.store import Store

_WORK_S: Final = 30.0  # what copies, rewinds and starts may take beside the cycles of I5
_QUIET_CYCLES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run begins with."""

    names: tuple[str, ...] = ("a", "b", "c")
    times: Times = field(default_factory=lambda: Times(ttl_s=5.0, loop_wait_s=1.0, retry_timeout_s=1.0))
    policy: Policy = field(default_factory=lambda: Policy(use_pg_rewind=True, primary_start_timeout_s=20.0))
    tags: dict[str, Tags] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    leaderless_methods: bool = False
    lock_hangs_on_session: bool = False
    dynamic: dict[str, object] = field(default_factory=dict)
    drains: bool = False  # each machine has a router that can hold work back

    def config(self) -> str:
        """Return the dynamic configuration that the cluster is created with."""
        own = {"ttl": self.times.ttl_s, "loop_wait": self.times.loop_wait_s, "retry_timeout": self.times.retry_timeout_s}
        return json.dumps(
            {
                "hacore": own,
                "maximum_lag_on_failover": self.policy.maximum_lag_on_failover,
                "primary_start_timeout": self.policy.primary_start_timeout_s,
                **self.dynamic,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a run ended."""

    seed: int | str
    violations: tuple[Violation, ...]
    rules: Counter[tuple[str, str]]
    trace: tuple[str, ...]
    acked: int
    lost: int
    promotions: int
    virtual_s: float
    steps: int

    @property
    def is_clean(self) -> bool:
        """Tell whether every promise was kept."""
        return not self.violations


class Simulation:
    """One cluster in virtual time."""

    def __init__(self, seed: int | str, plan: Plan, *, wrong: Wrong | None = None, tracing: bool = False) -> None:
        self.engine = Engine(seed)
        self.plan = plan
        self.network = Network(self.engine)
        self.store = Store(self.engine)
        self.store.hangs_on_session = plan.lock_hangs_on_session
        self.judge = Judge(self.engine, self.store, plan.policy, plan.times)
        self.rules: Counter[tuple[str, str]] = Counter()
        self.trace: list[str] = []
        self._tracing = tracing
        self._last_line: dict[str, str] = {}
        around = Surroundings(engine=self.engine, network=self.network, store=self.store, judge=self.judge, trace=self.note)
        self.machines = {name: self._machine(around, name, wrong or Wrong()) for name in plan.names}
        self.judge.watch(tuple(self.machines.values()))
        self.judge.note = self.note
        self.engine.after_each = self.judge.look
        self.clients = Clients(self.engine, self.judge)
        self._commands = 0

    def _machine(self, around: Surroundings, name: str, wrong: Wrong) -> Machine:
        plan = self.plan
        tags = plan.tags.get(name, Tags())
        me = Me(
            name=name,
            scope="sim",
            conn_url=f"postgres://{name}:5432/postgres",
            api_url=f"http://{name}:8008/patroni",
            tags=tags,
            leaderless_methods=plan.leaderless_methods,
            drains=plan.drains,
        )
        settings = AgentSettings(me, plan.policy, plan.config())
        machine = Machine(around, name, tags=tags, rate=plan.rates.get(name, 1.0), settings=settings, decide=decide)
        machine.find_host = lambda other: self.machines.get(other) if other is not None else None
        machine.server.find = machine.find
        machine.watch = AgentWatch(turned=self._turned)
        machine.wrong = wrong
        machine.traffic.drains = plan.drains
        if wrong.host is not None:
            wrong.host(machine)
        return machine

    # --- what happened ----------------------------------------------------------------------------------------------

    def note(self, who: str, what: str) -> None:
        """Write a line of the trace."""
        if self._tracing:
            self.trace.append(f"{self.engine.now:9.3f} {who:6} {what}")

    def _turned(self, machine: AgentHost, turn: Turn, began: float) -> None:
        self.rules[turn.decision.table, turn.decision.rule] += 1
        self.judge.turned(machine, turn, began)
        if self._tracing:
            steps = ", ".join(type(step).__name__ for step in turn.decision.steps)
            line = f"{turn.decision.table}/{turn.decision.rule}: {turn.decision.reason}"
            if steps or self._last_line.get(machine.name) != turn.decision.rule:
                self.note(machine.name, f"{line}{f' -> {steps}' if steps else ''}  [{_situation(machine)}]")
            self._last_line[machine.name] = turn.decision.rule

    # --- what people do -----------------------------------------------------------------------------------------------

    def operator_puts(self, name: str, value: str | None) -> None:
        """Write a record as a person's tool does."""
        self.note("person", f"writes {name} = {value}")
        self.store.write("person", WriteRequest(puts=(Put(name=name, value=value),)))

    def operator_takes_lock(self, holder: str) -> None:
        """Put the lock into a member's name by hand."""
        self.note("person", f"gives the lock to {holder}")
        self.store.acquire(holder, AcquireRequest(ttl_s=self.plan.times.ttl_s))

    def change_config(self, **changes: object) -> None:
        """Change the dynamic configuration; ``None`` takes a key away."""
        text = self.store.value("config")
        found = {**json.loads(text or self.plan.config()), **changes}
        self.operator_puts("config", json.dumps({key: value for key, value in found.items() if value is not None}))

    def command_id(self) -> str:
        """Return a name for a command."""
        self._commands += 1
        return f"c{self._commands}"

    # --- how it stands ------------------------------------------------------------------------------------------------

    @property
    def leader(self) -> Machine | None:
        """Return the machine that holds the lock, as the store says."""
        lock = self.store.lock
        return self.machines.get(lock.holder) if lock else None

    @property
    def wanted(self) -> list[Machine]:
        """Return the machines whose agents shall run."""
        return [machine for machine in self.machines.values() if machine.is_on and machine.is_wanted]

    def why_not_whole(self) -> str | None:
        """Say what is missing to one leader whom all follow; ``None`` where nothing is (I5)."""
        leader = self.leader
        if leader is None:
            return "nobody holds the lock"
        if not leader.server.accepts_writes or not leader.server.serves:
            return f"{leader.name} holds the lock and takes no writes"
        if self.store.value("initialize") != leader.server.directory.system_id:
            return f"initialize is {self.store.value('initialize')!r}"
        if self.store.value("failover") not in (None, "{}"):
            return "a failover request stands"
        if "hold" in json.loads(self.store.value("hacore") or "{}"):
            return "the own record says that work is held back"
        misled = next((why for machine in self.wanted if (why := _why_traffic_does_not_go_to(leader, machine))), None)
        return misled or next(
            (why for machine in self.wanted if machine is not leader and (why := _why_not_following(machine, leader))), None
        )

    def state(self) -> tuple[object, ...]:
        """Return what must not change in a cluster that is left alone."""
        servers = tuple((one.name, one.server.run, one.server.role, one.server.log.timeline) for one in self.machines.values())
        return self.store.lock, servers

    # --- time ---------------------------------------------------------------------------------------------------------

    def run_for(self, seconds: float) -> None:
        """Let time pass, or stop at the first broken promise."""
        self.engine.run_until(self.engine.now + seconds, stop=lambda: bool(self.judge.violations))

    def run_until(self, condition: Callable[[], bool], *, within_s: float) -> bool:
        """Let time pass until something is true; tell whether it came to that."""
        ends_at = self.engine.now + within_s
        while self.engine.now < ends_at and not self.judge.violations:
            if condition():
                return True
            self.run_for(min(0.25, ends_at - self.engine.now))
        return condition()

    def start(self) -> None:
        """Switch everything on and let clients write."""
        dice = self.engine.dice("start")
        for machine in self.machines.values():
            self.engine.after(dice.uniform(0.0, 2.0), lambda one=machine: one.boot(dice.uniform(5.0, 500.0)))  # type: ignore[misc]
            self.clients.write_to(machine)

    def cycles_s(self, cycles: int) -> float:
        """Return how long so many cycles take."""
        return cycles * self.plan.times.loop_wait_s

    def must_become_whole(self, *, work_s: float = _WORK_S) -> None:
        """After the last fault: one leader, everybody follows, and then nothing changes (I5)."""
        times = self.plan.times
        within_s = self.cycles_s(2 * math.ceil(times.ttl_s / times.loop_wait_s) + 6) + work_s
        if not self.run_until(lambda: self.why_not_whole() is None, within_s=within_s):
            if not self.judge.violations:
                self.judge.broken("I5", f"not whole {within_s:.0f} s after the last fault: {self.why_not_whole()}")
            return
        self.run_for(self.cycles_s(3))  # what a switchover or a rewind leaves behind is tidied up
        before, since = self.state(), self.engine.now
        self.run_for(self.cycles_s(_QUIET_CYCLES))
        if not self.judge.violations and (self.state() != before or self.why_not_whole() is not None):
            self.judge.broken("I5", f"changed after {since:.3f} though nothing happened: {self.why_not_whole() or self.state()}")

    def verdict(self) -> Verdict:
        """End the run and say how it went."""
        self.engine.close()
        return Verdict(
            seed=self.engine.seed,
            violations=tuple(self.judge.violations),
            rules=self.rules,
            trace=tuple(self.trace),
            acked=len(self.judge.acked),
            lost=len(self.judge.lost),
            promotions=self.judge.promotions,
            virtual_s=self.engine.now,
            steps=self.engine.steps,
        )


def _why_traffic_does_not_go_to(leader: Machine, machine: Machine) -> str | None:
    if machine.traffic.held is not None:
        return f"{machine.name} holds work back"
    if machine.agent is None or not machine.traffic.drains or machine.agent.traffic.leads_to == leader.name:
        return None
    return f"{machine.name} leads traffic to {machine.agent.traffic.leads_to}"


def _why_not_following(machine: Machine, leader: Machine) -> str | None:
    server = machine.server
    if server.role is not Role.STANDBY or not server.serves:
        return f"{machine.name} is {server.state}, {server.role}"
    source, hops = server.source, 0
    while source is not None and source is not leader.server and hops < len(server.name) + 8:
        source, hops = source.source, hops + 1
    return None if source is leader.server else f"{machine.name} does not stream from {leader.name}"


def _situation(machine: AgentHost) -> str:
    server, lock = machine.server, machine.around.store.lock
    holder = lock.holder if lock else "-"
    return f"{server.state} {server.role or '-'} tl {server.log.timeline} {server.log.end} {server.directory.state}; lock {holder}"
