"""Rules made wrong on purpose. Each has to be found out by some seed: a simulator that lets one pass tests nothing.

A wrong rule is put between the right parts: it changes what a decision sees or asks for, or what a port answers. Nothing of the judge
knows of it. Each names the faults that bring it to light, so that few seeds are needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from hacore.guard.latch import Latch
from hacore.interfaces import Acquired, AcquireRequest, Dcs, Refused, Renewed, RenewRequest, Snapshot
from hacore.model.clock import Instant
from hacore.model.node import Role
from hacore.model.steps import ReleaseLease, StopServer, WriteOwn
from hacore.model.world import Decision, World
from hacore.ports import Ports
from hacore.testing.simulation import faults
from hacore.testing.simulation.agent import Wrong
from hacore.testing.simulation.faults import Fault
from hacore.testing.simulation.host import Host

_LONG_AGO: Final = -1e9
_MINUTE_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One wrong rule, what it breaks, and what brings it to light."""

    wrong: Wrong
    breaks: frozenset[str]  # invariants of which one must be seen broken
    faults: Sequence[tuple[Fault, int]] = field(default=faults.FAULTS)
    seeds: range = range(100)  # one of which finds it; rare ones begin near one that does, for each run of a seed takes half a second

    @property
    def name(self) -> str:
        """Return what is wrong."""
        return self.wrong.name


class _Through:
    """Hands every call on to what it stands before."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - any port
        self._inner = inner

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the port has
        return getattr(self._inner, name)


# --- the lease -------------------------------------------------------------------------------------------------------------


class _CountsFromAnswer(_Through):
    """Lease time counts from when the answer came."""

    def __init__(self, inner: Dcs, ports: Ports) -> None:
        super().__init__(inner)
        self._dcs, self._clock = inner, ports.clock

    def acquire(self, request: AcquireRequest, *, timeout_s: float) -> Acquired | Refused:
        answer = self._dcs.acquire(request, timeout_s=timeout_s)
        return replace(answer, sent_at=self._clock.now()) if isinstance(answer, Acquired) else answer

    def renew(self, request: RenewRequest, *, timeout_s: float) -> Renewed | Refused:
        answer = self._dcs.renew(request, timeout_s=timeout_s)
        return replace(answer, sent_at=self._clock.now()) if isinstance(answer, Renewed) else answer


class _TrustsItsLease(_Through):
    """While it promotes, a node takes its lease for renewed without asking the store."""

    def __init__(self, inner: Dcs, ports: Ports, host: Host) -> None:
        super().__init__(inner)
        self._dcs, self._clock, self._host = inner, ports.clock, host

    def renew(self, request: RenewRequest, *, timeout_s: float) -> Renewed | Refused:
        if self._host.server.role is not Role.STANDBY:
            return self._dcs.renew(request, timeout_s=timeout_s)
        sent_at = self._clock.now()
        return Renewed(sent_at=sent_at, snapshot=self._dcs.snapshot(timeout_s=timeout_s))


class _TakesOldForNew(_Through):
    """A picture of the last minute does for everything."""

    def __init__(self, inner: Dcs, ports: Ports, _host: Host) -> None:
        super().__init__(inner)
        self._dcs, self._clock = inner, ports.clock

    def snapshot(self, *, timeout_s: float, max_age_s: float = 0.0) -> Snapshot:
        now = self._clock.now()
        return replace(self._dcs.snapshot(timeout_s=timeout_s, max_age_s=max(max_age_s, _MINUTE_S)), sent_at=now)


class _ArmsTooLate(_Through):
    """The guard is told a deadline that leaves a stopped agent a minute."""

    def arm(self, *, token: int, fence_at: Instant, budget_s: float) -> None:
        self._inner.arm(token=token, fence_at=fence_at + _MINUTE_S, budget_s=budget_s)

    def extend(self, fence_at: Instant) -> None:
        self._inner.extend(fence_at + _MINUTE_S)


class _NoLatch(Latch):
    """A fence that has fired lets a primary start again under the old token."""

    def fire(self) -> None:
        self.deadline_ns = 0

    def refusal_of_primary(self, token: int | None, now_ns: int) -> str | None:
        return super().refusal_of_primary(token, now_ns) if self.is_armed else None


# --- decisions -------------------------------------------------------------------------------------------------------------


def _no_challenger_rule(world: World) -> World:
    seen = replace(world.sightings, own_version_since=_LONG_AGO, leaderless_since=_LONG_AGO)
    return replace(world, sightings=seen)


def _impatient(world: World) -> World:
    """A held lock counts as gone as soon as its heartbeat is a fifth of the ttl old."""
    seen = world.sightings
    if seen.own_version_since is None or seen.lock_stale_at is None:
        return world
    stale_at = seen.own_version_since + world.times.ttl_s / 5
    return replace(world, sightings=replace(seen, lock_stale_at=stale_at, own_version_since=_LONG_AGO), peers_asked=True)


def _no_look_at_lag(world: World) -> World:
    cluster = world.cluster
    if cluster is not None:
        cluster = replace(cluster, status=replace(cluster.status, optime=None))
    return replace(world, cluster=cluster, peers=(), memory=replace(world.memory, lsn=None))


def _no_divergence(world: World) -> World:
    return replace(world, cluster=replace(world.cluster, history=None)) if world.cluster is not None else world


def _no_claims(world: World) -> World:
    """Only what this token has claimed itself counts."""
    cluster, lease = world.cluster, world.lease
    if cluster is None or cluster.own is None or lease is None:
        return world
    mine = tuple((timeline, token) for timeline, token in cluster.own.claims if token == lease.token)
    return replace(world, cluster=replace(cluster, own=replace(cluster.own, claims=mine)), memory=replace(world.memory, timeline=None))


def _released_too_early(decision: Decision) -> Decision:
    if any(isinstance(step, StopServer) for step in decision.steps):
        return replace(decision, steps=(*decision.steps, ReleaseLease(clean=True)))
    return decision


def _mark_left_standing(decision: Decision) -> Decision:
    """Nobody takes away the mark of a switchover that is over."""
    if decision.table != "handing_over" and decision.rule != "clear_marks":
        return decision
    return replace(decision, steps=tuple(step for step in decision.steps if not isinstance(step, WriteOwn) or step.own.hold is not None))


_STORE: Final = (
    (faults.lock_lost_unseen, 6),
    (faults.cut_off_from_store, 4),
    (faults.agent_stopped, 3),
    (faults.answers_cut_off, 3),
    (faults.machine_frozen, 2),
)
_ALONE: Final = ((faults.isolated, 6), (faults.cut_off_from_store, 2), (faults.leases_begin_anew, 2))
_SLOW: Final = ((faults.network_slow, 4), (faults.cut_off_from_store, 4), (faults.store_down, 2), (faults.agent_stopped, 2))
_LATCH: Final = ((faults.agent_stopped_in_restart, 6), (faults.server_slow, 1))
_LAG: Final = ((faults.replication_lags, 6), (faults.power_lost, 4), (faults.isolated, 3), (faults.everything_killed, 1))
_PROMOTION: Final = ((faults.server_slow, 6), (faults.power_lost, 2), (faults.cut_off_from_store, 4), (faults.lock_lost_early, 4))
_CLAIMS: Final = ((faults.new_primary_dies, 4), (faults.isolated, 2), (faults.replication_lags, 2))
_STOPS: Final = ((faults.switchover, 6), (faults.agent_ended_in_order, 4), (faults.server_slow, 4), (faults.cut_off_from_store, 2))


def _on_dcs(make: Any) -> Any:  # noqa: ANN401 - builds a port around a port
    return lambda ports, host: replace(ports, dcs=make(ports.dcs, ports, host))


def _without_latch(host: Host) -> None:
    host.guard.deadline.make_latch = _NoLatch
    host.guard.deadline.latch = _NoLatch()


def _without_end(host: Host) -> None:
    host.traffic.heeds_end = False


def _sees(name: str, change: Any) -> Wrong:  # noqa: ANN401 - World to World
    """A rule is wrong because its world is."""
    return Wrong(name=name, decide=lambda right: lambda world: right(change(world)))


def _asks(name: str, change: Any) -> Wrong:  # noqa: ANN401 - Decision to Decision
    """A rule asks for the wrong steps."""
    return Wrong(name=name, decide=lambda right: lambda world: change(right(world)))


_TWO_WRITERS: Final = frozenset({"I1"})

MUTATIONS: Final[tuple[Mutation, ...]] = (
    Mutation(
        wrong=Wrong(name="lease counted from the answer", ports=_on_dcs(lambda dcs, ports, _: _CountsFromAnswer(dcs, ports))),
        breaks=frozenset({"I1", "I14"}),
        faults=_SLOW,
    ),
    Mutation(wrong=_sees("no challenger rule", _no_challenger_rule), breaks=_TWO_WRITERS, faults=_STORE, seeds=range(110, 310)),
    Mutation(wrong=_sees("a lock replaced before its holder has ended", _impatient), breaks=_TWO_WRITERS, faults=_ALONE),
    Mutation(wrong=_sees("promotion without a look at lag", _no_look_at_lag), breaks=frozenset({"I3"}), faults=_LAG),
    Mutation(wrong=_sees("rewind skipped", _no_divergence), breaks=frozenset({"I4", "I5"}), faults=_LAG),
    Mutation(wrong=Wrong(name="fence without the latch", host=_without_latch), breaks=_TWO_WRITERS, faults=_LATCH, seeds=range(280, 480)),
    Mutation(wrong=Wrong(name="promotion without renewing", ports=_on_dcs(_TrustsItsLease)), breaks=_TWO_WRITERS, faults=_PROMOTION),
    Mutation(wrong=Wrong(name="old pictures taken for new", ports=_on_dcs(_TakesOldForNew)), breaks=frozenset({"I5"})),
    Mutation(wrong=_sees("claimed timelines ignored", _no_claims), breaks=frozenset({"I6"}), faults=_CLAIMS),
    Mutation(wrong=_asks("released as clean while PostgreSQL runs", _released_too_early), breaks=_TWO_WRITERS, faults=_STOPS),
    Mutation(wrong=_asks("the mark of a switchover left standing", _mark_left_standing), breaks=frozenset({"I5"}), faults=_STOPS),
    Mutation(
        wrong=Wrong(name="work held back without an end", host=_without_end),
        breaks=frozenset({"I15"}),
        faults=((faults.switchover_in_trouble, 1),),
    ),
    Mutation(
        wrong=Wrong(name="fence armed too late", ports=lambda ports, _: replace(ports, fence=_ArmsTooLate(ports.fence))),
        breaks=_TWO_WRITERS,
        faults=_STORE,
    ),
)
