"""The invariants of docs/safety.md, judged from the truth: what only the simulator can see. It knows no rule and trusts no record.

Safety is looked at after each event, the rest where it is decided: at promotions, when a standby attaches, when a directory is wiped.
"""

import json
from collections.abc import Sequence
from typing import Final

from hacore.loop import Turn
from hacore.model.node import DirectoryState
from hacore.model.policy import Policy, Times
from hacore.testing.simulation.agent import AgentHost
from hacore.testing.simulation.elections import ElectionJudge
from hacore.testing.simulation.engine import Engine
from hacore.testing.simulation.host import Host, HostJudge
from hacore.testing.simulation.machine import Machine
from hacore.testing.simulation.postmaster import Processes
from hacore.testing.simulation.store import Change, Store
from hacore.testing.simulation.wal import WalRecord

_THAW_GRACE_S: Final = 0.25  # docs/safety.md 2: a machine that was frozen kills its sessions at once, which takes a moment
_TURN_SLACK_S: Final = 0.1  # the last call of a turn gets a moment even where none is left


class Judge(ElectionJudge, HostJudge):
    """Watches one run."""

    def __init__(self, engine: Engine, store: Store, policy: Policy, times: Times) -> None:
        super().__init__(engine, store, policy, times)
        self._held_since = 0.0
        self._unfenced: str | None = None  # whom the own record calls unfenced: only that one takes the lock
        self._released: set[str] = set()  # machines that gave the lock back as clean, and have not taken it since
        self._in_pause: set[str] = set()  # machines whose agents know of no end of the pause
        self._system_ids = 0
        self._tokens: dict[str, int] = {}
        store.on_change.append(self._changed)

    def watch(self, machines: Sequence[Machine]) -> None:
        """Watch these machines."""
        self.machines = machines
        for machine in machines:
            machine.server.judge = self

    def knows_of_pause(self) -> bool:
        """Tell whether some agent takes the cluster for paused."""
        return bool(self._in_pause)

    # --- I1: at each moment ---------------------------------------------------------------------------------------

    def look(self) -> None:
        """Look at who could acknowledge a commit now."""
        now, writers = self.engine.now, []
        for machine in self.machines:
            server = machine.server
            if not server.accepts_writes or not machine.gate.is_open:
                continue
            if machine.thawed_at is not None and now < machine.thawed_at + _THAW_GRACE_S:
                continue
            writers.append(machine)
            is_exempt = now < self.paused_until or machine.name == self._unfenced or machine.name in self._in_pause
            if not is_exempt and now >= self.end_of(machine):
                self.broken("I1", f"{machine.name} can acknowledge commits at or after F = {self.end_of(machine):.3f}")
            if not is_exempt and machine.name in self._released:
                self.broken("I1", f"{machine.name} can acknowledge commits, and has said that its writes have ended")
        if len(writers) > 1:
            self.broken("I1", f"{' and '.join(one.name for one in writers)} can both acknowledge commits")

    def acknowledged(self, machine: Machine, record: WalRecord) -> None:
        """Learn of an acknowledged commit."""
        if record.commit is not None:
            self.acked[record.commit] = (machine.name, self.engine.now, record)
            self.last_writer = (machine.name, machine.server.log, self.engine.now)
            self.is_unrecorded = machine.name in self._in_pause or machine.name == self._unfenced or machine.server.faults.is_mute

    # --- I4, I9, I10: copies --------------------------------------------------------------------------------------

    def attached(self, server: Processes, source: Processes) -> None:
        """Look whether what streams is a prefix."""
        if not server.log.is_prefix_of(source.log):
            self.broken("I4", f"{server.name} at {server.log.end} streams from {source.name}, whose history it does not share")

    def wiping(self, host: Host) -> None:
        """Look whether something is thrown away that must not be."""
        directory = host.server.directory
        if directory.state is not DirectoryState.INITIALIZED:
            return
        if self.established is not None and directory.system_id not in ("", self.established):
            self.broken("I9", f"{host.name}: the directory of another cluster is overwritten")
        others = [
            other.server.directory.log
            for other in self.machines
            if other is not host and other.server.directory.state is DirectoryState.INITIALIZED
        ]
        if all(log.is_prefix_of(directory.log) and log.end < directory.log.end for log in others):
            self.broken("I10", f"{host.name}: the best copy of the data is thrown away")

    def new_system_id(self) -> str:
        """Return an identifier for a new database system."""
        self._system_ids += 1
        return str(7_400_000_000_000_000_000 + self._system_ids)

    # --- I7, I9: records ------------------------------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        if change.kind == "acquire":
            self._held_since = self.engine.now
            self._released.discard(change.by)
        if change.lock_before is not None and change.lock is None and self.engine.now - self._held_since > self.times.ttl_s:
            self.leaderless_at = self.engine.now
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
        directory = self.machine(change.by).server.directory
        initialize = self.store.value("initialize")
        if initialize and directory.system_id and directory.system_id != initialize:
            self.broken("I9", f"{change.by} of system {directory.system_id} takes the lock of cluster {initialize}")
        self.lock_taken(change)

    def _look_at_token(self, change: Change, text: str) -> None:
        try:
            own = json.loads(text)
            store_id, token = str(own["store_id"]), int(own["token"])
        except (ValueError, KeyError, TypeError):
            self.broken("I7", f"{change.by} writes an own record that nobody can read: {text!r}")
            return
        self._unfenced = own.get("unfenced")
        if change.kind == "release" and change.lock_before is not None and own.get("clean") == change.lock_before.instance:
            self._released.add(change.by)
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
        self.went_back_at = self.engine.now

    # --- I15: what is held back -----------------------------------------------------------------------------------

    def _look_at_traffic(self, machine: AgentHost) -> None:
        """Look whether work waits longer than a switchover may keep it, where somebody could have let it go."""
        traffic, now = machine.traffic, self.engine.now
        if traffic.held is None or machine.name in self._in_pause or self.paused_until > traffic.judged_from:
            return
        longest_s = (
            self.policy.drain_timeout_s + 2 * self.times.ttl_s + _longest_turn_s(self.times)
        )  # one ttl for an agent that knows nothing yet
        if now > traffic.judged_from + longest_s:
            self.broken(
                "I15", f"{machine.name} has held work back for {now - traffic.judged_from:.1f} s, at most {longest_s:.1f} s are allowed"
            )

    # --- I14: turns -----------------------------------------------------------------------------------------------

    def turned(self, machine: AgentHost, turn: Turn, began: float) -> None:
        """Look at how long a turn took."""
        (self._in_pause.add if turn.world.policy.pause else self._in_pause.discard)(machine.name)
        if machine.stopped_since(began):
            return
        self._look_at_traffic(machine)
        took, longest = self.engine.now - began, _longest_turn_s(turn.world.times)
        if took > longest:
            self.broken("I14", f"{machine.name}: a turn took {took:.2f} s, at most {longest} s are allowed ({turn.decision.rule})")
        lease = machine.leases.newest
        if turn.world.lease is None or lease is None or turn.world.policy.pause or not machine.server.accepts_writes:
            return
        ends_at = self.end_of(machine) - self.policy.budget(lease.ttl_s)
        if began < ends_at < self.engine.now - _TURN_SLACK_S:
            self.broken(
                "I14", f"{machine.name}: a leader's turn ended {self.engine.now - ends_at:.2f} s after F - D ({turn.decision.rule})"
            )


def _longest_turn_s(times: Times) -> float:
    return times.loop_wait_s + 2 * times.retry_timeout_s + 1.0
