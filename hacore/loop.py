"""One turn joins the four stages: observe, decide, act, publish. Knows no thread and no clock but the one it is given.

All of the outside stands behind the ports of :class:`hacore.ports.Ports`, so that the simulator drives the same turn.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from hacore.act.actor import Actor
from hacore.act.keeper import LeaseKeeper
from hacore.decide import decide
from hacore.errors import DcsUnavailableError, GuardUnavailableError
from hacore.interfaces import Snapshot
from hacore.model.clock import Instant
from hacore.model.cluster import ClusterView, Member
from hacore.model.commands import Command
from hacore.model.memory import Sightings
from hacore.model.node import FenceState, NodeState, PeerState
from hacore.model.policy import Policy, Times
from hacore.model.steps import Exit
from hacore.model.world import Decision, World
from hacore.observe.memory import newest
from hacore.observe.need import peers_are_needed
from hacore.observe.rhythm import after_leader_s
from hacore.observe.sightings import Reading, advance
from hacore.ports import Ports
from hacore.publish.member import member_of
from hacore.records.cluster import read_cluster
from hacore.records.member import member_json

logger: Final = logging.getLogger(__name__)

_READ_S: Final = 1.0  # for PostgreSQL: a healthy one answers in milliseconds
_PEERS_S: Final = 2.0  # interface reference 10.9
_SPARE_S: Final = 0.8  # of the second that a turn may last beyond W + 2R: what takes time without being asked for
_CALM: Final = 0.5  # of the ttl: how old a picture of the store may be on which nothing is done


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one turn saw, decided and led to."""

    world: World
    decision: Decision
    next_at: Instant  # when the next turn is due at the latest
    took_s: float
    exit: Exit | None = None
    answers: dict[str, tuple[bool, str]] = field(default_factory=dict)


class Loop:
    """The agent's state from turn to turn."""

    def __init__(self, ports: Ports, decide: Callable[[World], Decision] = decide) -> None:
        self._ports, self._decide = ports, decide
        self._keeper = LeaseKeeper(ports)
        self._actor = Actor(ports, self._keeper)
        self._sightings = Sightings(started_at=ports.clock.now())
        self._config: str | None = None
        self._all_hacore = True
        self._error: str | None = None
        self._last_rule: str | None = None
        self._is_calm = False
        self._told: Member | None = None  # what this node said of itself last ...
        self._is_spared = False  # ... and whether it would have said another position, but for sparing the store
        self._silent: set[str] = set()  # members without a record that did not answer since the cluster last had a leader
        self.rules: Counter[tuple[str, str]] = Counter()

    def turn(self, commands: Sequence[Command] = ()) -> Turn:
        """Make one turn: it ends before F - D for a holder of the lease, else within W + 2R + 1 s (safety.md 3.5)."""
        began = self._ports.clock.now()
        world, decision = self._look(tuple(commands), began)
        self._log(decision)
        effects = self._actor.carry_out(decision, world)
        self._sightings = effects.sightings or world.sightings
        self._publish(world, decision)
        wait_s = world.times.loop_wait_s if decision.wake_after_s is None else min(decision.wake_after_s, world.times.loop_wait_s)
        now, stale_at = self._ports.clock.now(), self._sightings.lock_stale_at
        if self._is_calm:
            wait_s = after_leader_s(world.cluster, loop_wait_s=world.times.loop_wait_s, now=now)
        if stale_at is not None and stale_at > now:
            wait_s = min(wait_s, stale_at - now)
        if self._keeper.lease is not None:  # a longer loop_wait may be in force before the ttl that goes with it
            wait_s = min(wait_s, max(0.0, self._keeper.lease.fence_at - now) / 2)
        return Turn(world=world, decision=decision, next_at=now + wait_s, took_s=now - began, exit=effects.exit, answers=effects.answers)

    # --- observe and decide ----------------------------------------------------------------------------------------------

    def _look(self, commands: tuple[Command, ...], began: Instant) -> tuple[World, Decision]:
        """Decide; a standby in whose cluster nothing happens, on the picture that its watch keeps.

        Only doing nothing may rest on that: whatever else comes out is decided anew, on a reading of its own (safety.md 8).
        """
        world = self._observe(commands, began, may_recall=self._is_calm and not commands)
        decision = self._decide(world)
        if world.cluster is not None and world.cluster.sent_at < began and not _is_calm(world, decision):
            world = self._observe(commands, began)
            decision = self._decide(world)
        self._is_calm = _is_calm(world, decision)
        return world, decision

    def _observe(self, commands: tuple[Command, ...], began: Instant, *, may_recall: bool = False) -> World:
        ports, keeper = self._ports, self._keeper
        policy = ports.settings.policy(self._config)
        times = ports.settings.times(policy, all_hacore=self._all_hacore)
        keeper.turn_ends_at = began + times.loop_wait_s + 2 * times.retry_timeout_s + _SPARE_S
        job = ports.worker.state()  # before the node: work that ends meanwhile was in flight, else its mark would look left behind
        node = replace(ports.postgres.read(timeout_s=self._read_s(times)), fence=self._fence())
        self._drop_ended_lease(node)
        cluster = self._read_store(node, times, policy, max_age_s=times.ttl_s * _CALM if may_recall else 0.0)
        if cluster is not None:
            self._config = cluster.config if cluster.config is not None else self._config
            self._all_hacore = cluster.all_hacore
            policy = ports.settings.policy(self._config)
            times = ports.settings.times(policy, all_hacore=self._all_hacore)
        now, outcomes = ports.clock.now(), ports.worker.outcomes()
        reading = Reading(now=now, cluster=cluster, node=node, lease=keeper.lease, policy=policy, times=times, outcomes=outcomes)
        sightings = advance(self._sightings, reading)
        me, known = ports.settings.me(), keeper.remembered
        known.note(newest(known.memory, scope=me.scope, cluster=cluster, node=node, paused=policy.pause))
        if cluster is not None and cluster.lock is not None and keeper.lease is None:
            self._silent.clear()
        is_read = cluster is not None and cluster.sent_at >= began
        needed = is_read and peers_are_needed(now=now, cluster=cluster, node=node, lease=keeper.lease, sightings=sightings)
        return World(
            now=now,
            wall=ports.clock.wall(),
            me=me,
            policy=policy,
            times=times,
            cluster=cluster,
            cluster_error=self._error,
            node=node,
            peers=self._ask_peers(cluster, sightings) if needed and cluster is not None else (),
            peers_asked=needed,
            job=job,
            outcomes=outcomes,
            commands=commands,
            lease=keeper.lease,
            attempted_token=keeper.attempted_token,
            noted_unfenced=keeper.noted_unfenced,
            memory=known.memory,
            memory_fault=known.fault,
            sightings=sightings,
        )

    def _read_s(self, times: Times) -> float:
        """Return the limit for PostgreSQL: the renewal that follows must not wait for a server that hangs."""
        lease = self._keeper.lease
        if lease is None:
            return min(_READ_S, times.retry_timeout_s)
        return max(0.05, min(_READ_S, (lease.fence_at - self._ports.clock.now()) / 4))

    def _fence(self) -> FenceState:
        try:
            return self._ports.fence.state()
        except GuardUnavailableError as error:
            logger.warning("guard does not answer", extra={"error": str(error)})
            return FenceState(reachable=False, coverage="none")

    def _drop_ended_lease(self, node: NodeState) -> None:
        """A lease that has passed F - D is not renewed, whatever the store would say: fence first, look afterwards (safety.md 3.6)."""
        lease = self._keeper.lease
        if lease is None:
            return
        fired = node.fence.fired and node.fence.token == lease.token
        if fired or self._ports.clock.now() >= lease.fence_at:
            logger.error("lease has ended", extra={"token": lease.token, "fired": fired})
            self._ports.lease_ends()
            self._keeper.drop()

    def _read_store(self, node: NodeState, times: Times, policy: Policy, *, max_age_s: float) -> ClusterView | None:
        keeper, snapshot = self._keeper, None
        try:
            if keeper.lease is not None:
                snapshot = keeper.renew(node=node, times=times, policy=policy)
                self._tell_renewal()
            if snapshot is None:
                snapshot = self._ports.dcs.snapshot(timeout_s=keeper.budget_s(times.retry_timeout_s), max_age_s=max_age_s)
        except DcsUnavailableError as error:
            self._error = str(error)
            return None
        except GuardUnavailableError as error:
            logger.warning("guard does not answer", extra={"error": str(error)})
            return None
        self._error = None
        return self._parsed(snapshot)

    def _parsed(self, snapshot: Snapshot) -> ClusterView:
        view = read_cluster(snapshot)
        self._keeper.saw(snapshot, view)
        for name in sorted(view.broken):
            logger.error("record cannot be read", extra={"record": name})
        return view

    def _tell_renewal(self) -> None:
        lease = self._keeper.lease
        for publisher in self._ports.publishers:
            if lease is None:
                publisher.lease_ends()
            else:
                publisher.lease_renewed(lease.fence_at)

    def _ask_peers(self, cluster: ClusterView, sightings: Sightings) -> tuple[PeerState, ...]:
        """Ask the other members, also those whose records have ended with the store's outage; of these a silent one is asked once."""
        name = self._ports.settings.me().name
        known = {*(member.name for member in cluster.members), *self._silent}
        gone = [member for member in sightings.members_with_leader if member.name not in known]
        others = [member for member in (*cluster.members, *gone) if member.name != name]
        if not others:
            return ()
        lease, limit_s = self._keeper.lease, self._keeper.budget_s(_PEERS_S)
        if lease is not None:
            limit_s = max(0.05, min(limit_s, (lease.fence_at - self._ports.clock.now()) / 3))
        peers = self._ports.peers.ask(others, timeout_s=limit_s)
        self._silent |= {peer.name for peer in peers if not peer.reachable and cluster.member(peer.name) is None}
        return peers

    # --- publish ---------------------------------------------------------------------------------------------------------

    def _publish(self, world: World, decision: Decision) -> None:
        if world.cluster is not None and not any(isinstance(step, Exit) for step in decision.steps):
            shown = replace(world, lease=self._keeper.lease)
            try:
                timeout_s = self._keeper.budget_s(world.times.retry_timeout_s)
                self._ports.dcs.publish(member_json(self._told_of(shown)), ttl_s=world.times.ttl_s, timeout_s=timeout_s)
            except DcsUnavailableError as error:
                logger.warning("member record was not written", extra={"error": str(error)})
        for publisher in self._ports.publishers:
            publisher.published(replace(world, lease=self._keeper.lease), decision)

    def _told_of(self, world: World) -> Member:
        """Return this node's record. A leader's position stands in ``status`` in each turn: here every second one will do."""
        member, before = member_of(world), self._told
        self._is_spared = (
            world.lease is not None and not self._is_spared and before is not None and replace(member, lsn=before.lsn) == before
        )
        self._told = before if self._is_spared and before is not None else member
        return self._told

    def _log(self, decision: Decision) -> None:
        self.rules[decision.table, decision.rule] += 1
        is_repeated = decision.rule == self._last_rule
        facts = {"table": decision.table, "rule": decision.rule, "reason": decision.reason, "heartbeat": is_repeated}
        logger.log(logging.DEBUG if is_repeated else logging.INFO, "decision", extra=facts)
        self._last_rule = decision.rule


def _is_calm(world: World, decision: Decision) -> bool:
    """Tell whether somebody else leads, by hacore's own record, and nothing is to be done, waited for or asked here."""
    cluster, stale_at = world.cluster, world.sightings.lock_stale_at
    if cluster is None or cluster.lock is None or cluster.own is None or cluster.own.instance != cluster.lock.instance:
        return False
    is_led = cluster.lock.holder != world.me.name and (stale_at is None or world.now < stale_at)
    is_mine = world.lease is not None or world.attempted_token is not None or world.job is not None
    return is_led and not is_mine and not (world.commands or decision.steps or decision.wake_after_s is not None)
