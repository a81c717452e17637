"""I3 and I6: whether a promotion is justified, its timeline new, and what it loses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hacore.model.node import Role
from hacore.model.policy import Policy, Times
from hacore.testing.simulation.engine import Engine
from hacore.testing.simulation.machine import Machine
from hacore.testing.simulation.postmaster import Processes, ServerJudge
from hacore.testing.simulation.scene import Scene
from hacore.testing.simulation.store import Change, Store
from hacore.testing.simulation.wal import Log, WalRecord

_ASKED_S: Final = 2.5  # from the question to the others to the lock, where some do not answer


@dataclass(slots=True)
class _Acquired:
    """What was true when the lock was taken: positions that justify a promotion are compared with it."""

    at: float
    positions: dict[str, tuple[int, int]]
    disturbances: int


class ElectionJudge(Scene, ServerJudge):
    """Compares each promotion with what the others had when the lock was taken, and with what had been acknowledged."""

    def __init__(self, engine: Engine, store: Store, policy: Policy, times: Times) -> None:
        super().__init__(engine, store, policy, times)
        self._timelines: dict[tuple[str, int], tuple[str, int | None]] = {}
        self._acquired: dict[str, _Acquired] = {}
        self.acked: dict[int, tuple[str, float, WalRecord]] = {}
        self.last_writer: tuple[str, Log, float] | None = None
        self.is_unrecorded = False  # the last commit was acknowledged in maintenance, or by a server that tells nobody its position
        self.lost: set[int] = set()
        self.promotions = 0
        self.at_promotion: Callable[[Machine], None] | None = None  # what waits for the next one

    def promoting(self, server: Processes, timeline: int) -> None:
        """Look whether this promotion is justified, and its timeline new."""
        self.promotions += 1
        machine = self.machine(server.name)
        token = machine.guard.deadline.latch.token
        key = (server.directory.system_id, timeline)
        known = self._timelines.setdefault(key, (server.name, token))
        if known != (server.name, token):
            self.broken("I6", f"{server.name} creates timeline {timeline} under token {token}, as {known[0]} did under {known[1]}")
        if self.established is not None and server.directory.system_id != self.established:
            self.broken("I9", f"{server.name} of another cluster is promoted")
        if self.engine.now >= max(self.manual_until, self.paused_until):
            self._look_at_lag(server)
            self._look_at_peers(machine)
            self._look_at_loss(server)
        self._note_losses(server)

    def _look_at_lag(self, server: Processes) -> None:
        recorded = self.number("status", "optime")
        if recorded is not None and server.log.end < recorded - self.policy.maximum_lag_on_failover:
            self.broken(
                "I3", f"{server.name} is promoted at {server.log.end}, {recorded - server.log.end} bytes behind the recorded position"
            )
        timeline = self.number("hacore", "timeline")
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
        """Whoever could lead instead: one that has lost the store is asked once, and only until T after the lock was gone."""
        network, members = machine.network, self.store.members
        is_early = self.engine.now < self.leaderless_at + self.times.ttl_s
        return [
            other
            for other in self.machines
            if other is not machine
            and other.is_on
            and other.server.serves
            and other.server.role is Role.STANDBY
            and other.tags.may_lead
            and not other.disk_is_full
            and self.engine.now - other.refused_election_at >= _ASKED_S
            and other.server.directory.system_id == machine.server.directory.system_id
            and network.connects(machine.name, other.name)
            and (other.name in members or (is_early and not network.is_slow(other.name)))
        ]

    def _look_at_loss(self, server: Processes) -> None:
        """At most maximum_lag_on_failover and the WAL of the last T may be lost, as the truth counts it."""
        if self.last_writer is None or self.last_writer[1] is server.log or self.is_unrecorded:
            return
        if self.went_back_at >= self.last_writer[2] - self.times.ttl_s:
            return  # the store has lost what was recorded, and whoever had seen it may be gone
        name, log, last_ack_at = self.last_writer
        lease = self.machine(name).leases.newest
        lost = log.records[server.log.common(log) :]
        if not any(record.commit in self.acked for record in lost) or lease is None:
            return
        allowed_from = last_ack_at - lease.ttl_s
        begin = next((record.start for record in log.records if record.at >= allowed_from), log.end)
        if server.log.end < begin - self.policy.maximum_lag_on_failover:
            self.broken(
                "I3", f"{server.name} is promoted at {server.log.end}, {name} had acknowledged up to {log.end}, {begin} before its last T"
            )

    def _note_losses(self, server: Processes) -> None:
        if self.last_writer is not None and self.last_writer[1] is not server.log:
            log = self.last_writer[1]
            lost = {record.commit for record in log.records[server.log.common(log) :] if record.commit is not None}
            self.lost |= lost & self.acked.keys()

    def promoted(self, server: Processes, timeline: int) -> None:
        """Tell who waits for it."""
        del timeline
        told, self.at_promotion = self.at_promotion, None
        if told is not None:
            told(self.machine(server.name))

    def came_up(self, server: Processes) -> None:
        """Count: what was true at the last acquisition may be so no more."""
        self.note(server.name, f"up as {server.role}")
        self.disturbances += 1

    def lock_taken(self, change: Change) -> None:
        """Remember where everybody was when a node took the lock that it could have asked before."""
        machine = self.machine(change.by)
        could_ask = self.engine.now - machine.network.healed_at >= _ASKED_S
        positions = {other.name: (other.server.log.timeline, int(other.server.log.end)) for other in self._electable(machine) if could_ask}
        self._acquired[change.by] = _Acquired(self.engine.now, positions, self.disturbances)
