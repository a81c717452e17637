"""Switchover and failover: what a person wishes, whether it can be done at all, the record, and how it ended (interface reference 4.6).

The record is only a wish: the leader and the candidates decide on it in their own turns.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from hacore.control.cluster import is_paused, read
from hacore.control.context import STORE_S, Body, Context, RefusedError, future, text_of
from hacore.control.wire import Reply, warning
from hacore.errors import DcsUnavailableError
from hacore.interfaces import Dcs, Put, Refused, WriteRequest
from hacore.model.cluster import ClusterView
from hacore.model.node import PeerState
from hacore.model.steps import PutRecord
from hacore.model.world import Decision, World
from hacore.records import names
from hacore.records.cluster import read_cluster
from hacore.records.failover import failover_json

_PEERS_S: Final = 2.0
_LOOK_S: Final = 2.0
_SHORTEST_WAIT_S: Final = 10.0
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for."""

    leader: str | None  # named: a switchover
    candidate: str | None
    scheduled_at: datetime | None = None

    @property
    def action(self) -> str:
        """The word for people."""
        return "Switchover" if self.leader else "Failover"

    def done(self, new_leader: str) -> str:
        """Return the text for a change of leader."""
        if self.candidate and new_leader != self.candidate:
            return f'{"Switched" if self.leader else "Failed"} over to "{new_leader}" instead of "{self.candidate}"'
        return f'Successfully {"switched" if self.leader else "failed"} over to "{new_leader}"'


def switchover(context: Context, body: Body) -> Reply:
    """``POST /switchover``."""
    return _carry_out(context, body, needs_leader=True)


def failover(context: Context, body: Body) -> Reply:
    """``POST /failover``: with a leader in the body it is a switchover."""
    return _carry_out(context, body, needs_leader=text_of(body, "leader") is not None)


def cancel_switchover(context: Context, _: Body) -> Reply:
    """``DELETE /switchover``: only one that waits for its time."""

    def blank(dcs: Dcs, world: World) -> Reply:
        view = read(dcs, context.budget_s(world))
        if view.failover is None or view.failover.scheduled_at is None:
            return Reply(status=404, text="no switchover is scheduled")
        put = Put(name=names.FAILOVER, value=names.NO_FAILOVER, expected=view.failover.version)
        if isinstance(dcs.write(WriteRequest(puts=(put,)), timeout_s=context.budget_s(world)), Refused):
            return Reply(status=409, text="the switchover was changed meanwhile")
        return Reply(status=200, text="scheduled switchover deleted")

    return context.loop.call(blank, STORE_S)


def wish_of(body: Body, *, needs_leader: bool, paused: bool, now: datetime) -> Wish:
    """Read and check what was asked for; the first fault counts.

    :raises RefusedError: with the field's status and text.
    """
    leader, candidate = text_of(body, "leader"), text_of(body, "candidate") or text_of(body, "member")
    schedule = text_of(body, "scheduled_at")
    if not needs_leader and not candidate:
        raise RefusedError(400, "a failover needs the name of its candidate")
    if needs_leader and not leader:
        raise RefusedError(400, "a switchover needs the name of the leader")
    scheduled_at = None
    if schedule is not None:
        if not needs_leader:
            raise RefusedError(400, "Failover can't be scheduled")
        if paused:
            raise RefusedError(400, "Can't schedule switchover in the paused state")
        scheduled_at = future(schedule, now)
    if paused and not candidate:
        raise RefusedError(400, "Switchover is possible only to a specific candidate in a paused state")
    if leader is not None and leader == candidate:
        raise RefusedError(400, "leader and candidate are the same member")
    return Wish(leader=leader, candidate=candidate, scheduled_at=scheduled_at)


def refusal(wish: Wish, view: ClusterView, ask: Callable[[tuple[str, ...]], tuple[PeerState, ...]]) -> str | None:
    """Tell why an immediate wish cannot be fulfilled now; ``None``: it may be tried."""
    holder = view.lock.holder if view.lock else None
    if wish.leader is not None and wish.leader != holder:
        return "leader name does not match"
    if wish.candidate is not None:
        if view.member(wish.candidate) is None:
            return "candidate does not exists"
        asked: tuple[str, ...] = (wish.candidate,)
    else:
        asked = tuple(one.name for one in view.members if one.name != holder)
        if not asked:
            return f"{wish.action.lower()} is not possible: cluster does not have members except leader"
    if not any(_is_good(peer) for peer in ask(asked)):
        return f"{wish.action.lower()} is not possible: no good candidates have been found"
    return None


def remarks(view: ClusterView, candidate: str | None) -> tuple[str, ...]:
    """Say what a person should know before the leader changes, although it can be done."""
    leader, own = view.leader, view.own
    if view.lock is None and own is not None and own.unfenced not in (None, candidate):
        return (f"{own.unfenced} was left unfenced in maintenance: there will be two primaries where its server still runs",)
    if leader is None or leader.archive_fault is None:
        return ()
    lacking = "what it has not archived is missing in the archive until it is back as a standby and has pushed it"
    return (f"WAL of {leader.name} is not archived ({leader.archive_fault}): {lacking}",)


def put_wish(dcs: Dcs, wish: Wish, before: ClusterView, budget_s: Callable[[], float]) -> bool:
    """Put a wish into the store, in place of the one that stood there ``before``; false where somebody else has wished since."""
    value = failover_json(wish.leader, wish.candidate, wish.scheduled_at)
    for _ in range(_ATTEMPTS):  # a new leader blanks the wish that made it one at about this time
        now = dcs.snapshot(timeout_s=budget_s())
        standing, wished = now.records.get(names.FAILOVER), read_cluster(now).failover
        if wished is not None and (before.failover is None or wished.version != before.failover.version):
            return False
        # Given again without a leader it counts as of now (``Sightings``), also in a store that does not count a value that stands.
        stands = before.lock is None and standing is not None and standing.value == value
        put = Put(name=names.FAILOVER, value=names.NO_FAILOVER if stands else value, expected=standing.version if standing else 0)
        if not isinstance(dcs.write(WriteRequest(puts=(put,)), timeout_s=budget_s()), Refused) and not stands:
            return True
    return False


def _is_good(peer: PeerState) -> bool:
    return peer.reachable and not peer.nofailover and not peer.refuses_election


def _carry_out(context: Context, body: Body, *, needs_leader: bool) -> Reply:
    view = context.loop.call(lambda dcs, world: read(dcs, context.budget_s(world)), STORE_S)
    wish = wish_of(body, needs_leader=needs_leader, paused=is_paused(view), now=context.clock.wall())
    if wish.scheduled_at is None:
        refused = refusal(wish, view, lambda asked: _ask(context, view, asked))
        if refused is not None:
            raise RefusedError(412, refused)
    _write(context, wish, view)
    written_at = context.clock.now()
    context.loop.wake()
    headers = warning(remarks(view, wish.candidate))
    if wish.scheduled_at is not None:
        return Reply(status=202, text="Switchover scheduled", headers=headers)
    return replace(_wait(context, wish, view.lock.holder if view.lock else None, written_at), headers=headers)


def _ask(context: Context, view: ClusterView, asked: tuple[str, ...]) -> tuple[PeerState, ...]:
    return context.peers.ask([one for one in view.members if one.name in asked], timeout_s=_PEERS_S)


def _write(context: Context, wish: Wish, view: ClusterView) -> None:
    try:
        written = context.loop.call(lambda dcs, world: put_wish(dcs, wish, view, lambda: context.budget_s(world)), STORE_S)
    except DcsUnavailableError as error:
        raise RefusedError(503, "failed to write failover key into DCS") from error
    if not written:
        raise RefusedError(503, "failed to write failover key into DCS")


def _wait(context: Context, wish: Wish, old_leader: str | None, written_at: float) -> Reply:
    why = ""

    def ended(world: World, decision: Decision) -> Reply | None:
        nonlocal why
        if _blanks_the_wish(decision):
            why = f": {decision.reason}"
        view = world.cluster
        if view is None or view.sent_at <= written_at:  # a reading from before the wish says nothing about it
            return None
        holder = view.lock.holder if view.lock else None
        if holder is not None and holder != old_leader:
            return Reply(status=200, text=wish.done(holder))
        if view.failover is None and holder == old_leader:
            return Reply(status=503, text=f"{wish.action} failed{why}")
        return None

    world, _ = context.latest()
    deadline = context.clock.now() + 2 * max(_SHORTEST_WAIT_S, world.times.loop_wait_s)
    while (left_s := deadline - context.clock.now()) > 0:
        reply = context.loop.wait_for(ended, min(_LOOK_S, left_s))
        if reply is not None:
            return reply
        context.loop.wake()  # a store without a watch tells nothing by itself
    return Reply(status=503, text=f"{wish.action} status unknown")


def _blanks_the_wish(decision: Decision) -> bool:
    """Tell whether this node, in this turn, has taken the wish out of the store: then its reason is the answer."""
    return any(isinstance(step, PutRecord) and step.name == names.FAILOVER for step in decision.steps)
