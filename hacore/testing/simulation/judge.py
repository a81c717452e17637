"""The invariants of docs/safety.md, judged from the truth: what only the simulator can see. It knows no rule and trusts no record.

Safety is looked at after each event, the rest where it is decided: at promotions, when a standby attaches, when a directory is wiped.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hacore.loop import Turn
from hacore.model.node import DirectoryState, Role
from hacore.model.policy import Policy, Times
from hacore.testing.simulation.engine import Engine
from hacore.testing.simulation.host import Host, HostJudge
from hacore.testing.simulation.machine import Machine
from hacore.testing.simulation.server import Server, ServerJudge
from hacore.testing.simulation.store import Change, Store
from hacore.testing.simulation.wal import Log, WalRecord

_THAW_GRACE_S: Final = 0.25  # docs/safety.md 2: a machine that was frozen kills its sessions at once, which takes a moment
_CLOCK_SLACK_S: Final = 0.02
_TURN_SLACK_S: Final = 0.1  # the last call of a turn gets a moment even where none is left


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A promise that was broken."""

    at: float
    invariant: str
    text: str

    def __str__(self) -> str:
        return f"{self.invariant} broken at {self.at:.3f}: {self.text}"


@dataclass(slots=True)
class _Acquired:
    """What was true when the lock was taken: positions that justify a promotion are compared with it."""

    at: float
    positions: dict[str, tuple[int, int]]
    disturbances: int


class Judge(HostJudge, ServerJudge):
    """Watches one run."""

    def __init__(self, engine: Engine, store: Store, policy: Policy, times: Times) -> None:
        self._engine = engine
        self._store = store
        self._policy = policy
        self._times = times
        self._leaderless_at = self._held_since = 0.0
        self._machines: Sequence[Machine] = ()
        self.violations: list[Violation] = []
        self.paused_until = 0.0  # pause, and the time in which everybody learns of its end
        self._unfenced: str | None = None  # whom the own record calls unfenced: only that one takes the lock
        self._in_pause: set[str] = set()  # machines whose agents know of no end of the pause
        self.manual_until = 0.0  # a person has named a candidate: lag is that person's business
        self.disturbances = 0  # of network and servers
        self.established: str | None = None  # system identifier of the one cluster
        self._system_ids = 0
        self._timelines: dict[tuple[str, int], tuple[str, int | None]] = {}
        self._tokens: dict[str, int] = {}
        self._acquired: dict[str, _Acquired] = {}
        self.acked: dict[int, tuple[str, float, WalRecord]] = {}
        self._last_writer: tuple[str, Log, float] | None = None
        self._unrecorded = False  # the last commit was acknowledged in maintenance, or by a server that tells nobody its position
        self.lost: set[int] = set()
        self.promotions = 0
        self.at_promotion: Callable[[Machine], None] | None = None  # what waits for the next one
        self.note: Callable[[str, str], None] = lambda _who, _what: None
        store.on_change.append(self._changed)

    def watch(self, machines: Sequence[Machine]) -> None:
        """Watch these machines."""
        self._machines = machines
        for machine in machines:
            machine.server.judge = self

    def broken(self, invariant: str, text: str) -> None:
        """Note a broken promise."""
        self.violations.append(Violation(at=self._engine.now, invariant=invariant, text=text))

    # --- I1: at each moment ---------------------------------------------------------------------------------------

    def look(self) -> None:
        """Look at who could acknowledge a commit now."""
        now, writers = self._engine.now, []
        for machine in self._machines:
            server = machine.server
            if not server.accepts_writes or not machine.gate.is_open:
                continue
            if machine.thawed_at is not None and now < machine.thawed_at + _THAW_GRACE_S:
                continue
            writers.append(machine)
            is_exempt = now < self.paused_until or machine.name == self._unfenced or machine.name in self._in_pause
            if not is_exempt and now >= self._end_of(machine):
                self.broken("I1", f"{machine.name} can acknowledge commits at or after F = {self._end_of(machine):.3f}")
        if len(writers) > 1:
            self.broken("I1", f"{' and '.join(one.name for one in writers)} can both acknowledge commits")

    def _end_of(self, machine: Machine) -> float:
        """F of a machine in true time: from when its last request that succeeded was sent, whatever it believes itself."""
        lease = machine.leases.newest
        if lease is None:
            return 0.0
        return lease.sent_at + (lease.ttl_s - self._policy.margin(lease.ttl_s)) / machine.clock.rate + _CLOCK_SLACK_S

    def acknowledged(self, machine: Machine, record: WalRecord) -> None:
        """Learn of an acknowledged commit."""
        if record.commit is not None:
            self.acked[record.commit] = (machine.name, self._engine.now, record)
            self._last_writer = (machine.name, machine.server.log, self._engine.now)
            self._unrecorded = machine.name in self._in_pause or machine.name == self._unfenced or machine.server.faults.is_mute

    # --- I3, I6: promotions ---------------------------------------------------------------------------------------

    def promoting(self, server: Server, timeline: int) -> None:
        """Look whether this promotion is justified, and its timeline new."""
        self.promotions += 1
        machine = self._machine(server.name)
        token = machine.guard.latch.token
        key = (server.directory.system_id, timeline)
        known = self._timelines.setdefault(key, (server.name, token))
        if known != (server.name, token):
            self.broken("I6", f"{server.name} creates timeline {timeline} under token {token}, as {known[0]} did under {known[1]}")
        if self.established is not None and server.directory.system_id != self.established:
            self.broken("I9", f"{server.name} of another cluster is promoted")
        if self._engine.now >= max(self.manual_until, self.paused_until):
            self._look_at_lag(server)
            self._look_at_peers(machine)
            self._look_at_loss(server)
        self._note_losses(server)

    def _look_at_lag(self, server: Server) -> None:
        recorded = self._number("status", "optime")
        if recorded is not None and server.log.end < recorded - self._policy.maximum_lag_on_failover:
            self.broken(
                "I3", f"{server.name} is promoted at {server.log.end}, {recorded - server.log.end} bytes behind the recorded position"
            )
        timeline = self._number("hacore", "timeline")
        if timeline is not None and server.log.timeline < timeline:
            self.broken("I3", f"{server.name} on timeline {server.log.timeline} is promoted, {timeline} is recorded")

    def _look_at_peers(self, machine: Machine) -> None:
        acquired = self._acquired.get(machine.name)
        if acquired is None or acquired.disturbances != self.disturbances:
            return
        mine = (machine.server.log.timeline, int(machine.server.log.end))
        for other in self._electable(machine):
            position = acquired.positions.get(other.name)
            if position is not None and position > mine:
                self.broken(
                    "I3", f"{machine.name} is promoted at {mine}, {other.name} that it reaches was at {position} when the lock was taken"
                )

    def _electable(self, machine: Machine) -> list[Machine]:
        """Whoever could lead instead: one that has lost the store is waited for until T after the lock was gone, no longer."""
        network, members = machine.network, self._store.members()
        is_early = self._engine.now < self._leaderless_at + self._times.ttl_s
        return [
            other
            for other in self._machines
            if other is not machine
            and other.is_on
            and other.server.serves
            and other.server.role is Role.STANDBY
            and other.tags.may_lead
            and other.server.directory.system_id == machine.server.directory.system_id
            and network.connects(machine.name, other.name)
            and (other.name in members or is_early)
        ]

    def _look_at_loss(self, server: Server) -> None:
        """At most maximum_lag_on_failover and the WAL of the last T may be lost, as the truth counts it."""
        if self._last_writer is None or self._last_writer[1] is server.log or self._unrecorded:
            return
        name, log, last_ack_at = self._last_writer
        lease = self._machine(name).leases.newest
        lost = log.records[server.log.common(log) :]
        if not any(record.commit in self.acked for record in lost) or lease is None:
            return
        allowed_from = last_ack_at - lease.ttl_s
        begin = next((record.start for record in log.records if record.at >= allowed_from), log.end)
        if server.log.end < begin - self._policy.maximum_lag_on_failover:
            self.broken(
                "I3", f"{server.name} is promoted at {server.log.end}, {name} had acknowledged up to {log.end}, {begin} before its last T"
            )

    def _note_losses(self, server: Server) -> None:
        if self._last_writer is not None and self._last_writer[1] is not server.log:
            log = self._last_writer[1]
            lost = {record.commit for record in log.records[server.log.common(log) :] if record.commit is not None}
            self.lost |= lost & self.acked.keys()

    def promoted(self, server: Server, timeline: int) -> None:
        """Tell who waits for it."""
        del timeline
        told, self.at_promotion = self.at_promotion, None
        if told is not None:
            told(self._machine(server.name))

    # --- I4, I9, I10: copies --------------------------------------------------------------------------------------

    def attached(self, server: Server, source: Server) -> None:
        """Look whether what streams is a prefix."""
        if not server.log.is_prefix_of(source.log):
            self.broken("I4", f"{server.name} at {server.log.end} streams from {source.name}, whose history it does not share")

    def came_up(self, server: Server) -> None:
        """Count: what was true at the last acquisition may be so no more."""
        self.note(server.name, f"up as {server.role}")
        self.disturbances += 1

    def wiping(self, host: Host) -> None:
        """Look whether something is thrown away that must not be."""
        directory = host.server.directory
        if directory.state is not DirectoryState.INITIALIZED:
            return
        if self.established is not None and directory.system_id not in ("", self.established):
            self.broken("I9", f"{host.name}: the directory of another cluster is overwritten")
        others = [
            other.server.directory.log
            for other in self._machines
            if other is not host and other.server.directory.state is DirectoryState.INITIALIZED
        ]
        if all(log.is_prefix_of(directory.log) and log.end < directory.log.end for log in others):
            self.broken("I10", f"{host.name}: the best copy of the data is thrown away")

    def new_system_id(self) -> str:
        """Return an identifier for a new database system."""
        self._system_ids += 1
        return str(7_400_000_000_000_000_000 + self._system_ids)

    # --- I7, I9: records ------------------------------------------------------------------------------------------

    def store_is_back(self) -> None:
        """Learn that the store answers again: from here on others can see that nobody leads."""
        self._leaderless_at = self._engine.now

    def _changed(self, change: Change) -> None:
        if change.kind == "acquire":
            self._held_since = self._engine.now
        if change.lock_before is not None and change.lock is None and self._engine.now - self._held_since > self._times.ttl_s:
            self._leaderless_at = self._engine.now
        if change.kind == "acquire":
            self._look_at_acquisition(change)
        for put in change.puts:
            if put.name == "hacore" and put.value is not None:
                self._look_at_token(change, put.value)
            if put.name == "initialize" and put.value:
                self._look_at_initialize(change, put.value)
            if put.name in {"status", "history"} and not change.under_lock:
                self.broken("I7", f"{change.by} writes {put.name} without a comparison with its lock")

    def _look_at_acquisition(self, change: Change) -> None:
        directory = self._machine(change.by).server.directory
        initialize = self._store.value("initialize")
        if initialize and directory.system_id and directory.system_id != initialize:
            self.broken("I9", f"{change.by} of system {directory.system_id} takes the lock of cluster {initialize}")
        positions = {
            other.name: (other.server.log.timeline, int(other.server.log.end)) for other in self._electable(self._machine(change.by))
        }
        self._acquired[change.by] = _Acquired(self._engine.now, positions, self.disturbances)

    def _look_at_token(self, change: Change, text: str) -> None:
        try:
            own = json.loads(text)
            store_id, token = str(own["store_id"]), int(own["token"])
        except (ValueError, KeyError, TypeError):
            self.broken("I7", f"{change.by} writes an own record that nobody can read: {text!r}")
            return
        self._unfenced = own.get("unfenced")
        known = self._tokens.get(store_id, 0)
        if token < known or (change.kind == "acquire" and token == known):
            self.broken("I7", f"{change.by}: {change.kind} under token {token}, {known} was there before")
        self._tokens[store_id] = max(known, token)

    def _look_at_initialize(self, change: Change, value: str) -> None:
        if self.established is None:
            self.established = value
        elif value != self.established:
            self.broken("I9", f"{change.by} initialises the cluster again, with {value} after {self.established}")

    def store_went_back(self) -> None:
        """Learn that the store was restored or wiped: numbers in it may begin anew."""
        self._tokens.clear()

    # --- I14: turns -----------------------------------------------------------------------------------------------

    def turned(self, machine: Machine, turn: Turn, began: float) -> None:
        """Look at how long a turn took."""
        (self._in_pause.add if turn.world.policy.pause else self._in_pause.discard)(machine.name)
        if machine.stopped_since(began):
            return
        took, times = self._engine.now - began, turn.world.times
        longest = times.loop_wait_s + 2 * times.retry_timeout_s + 1.0
        if took > longest:
            self.broken("I14", f"{machine.name}: a turn took {took:.2f} s, at most {longest} s are allowed ({turn.decision.rule})")
        lease = machine.leases.newest
        if turn.world.lease is None or lease is None or turn.world.policy.pause or not machine.server.accepts_writes:
            return
        ends_at = self._end_of(machine) - self._policy.budget(lease.ttl_s)
        if began < ends_at < self._engine.now - _TURN_SLACK_S:
            self.broken(
                "I14", f"{machine.name}: a leader's turn ended {self._engine.now - ends_at:.2f} s after F - D ({turn.decision.rule})"
            )

    # --- inside ---------------------------------------------------------------------------------------------------

    def _machine(self, name: str) -> Machine:
        return next(machine for machine in self._machines if machine.name == name)

    def _number(self, record: str, field: str) -> int | None:
        text = self._store.value(record)
        try:
            found = json.loads(text)[field] if text else None
        except (ValueError, KeyError, TypeError):
            return None
        return found if isinstance(found, int) else None
