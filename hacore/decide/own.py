"""The next content of hacore's own record, and the next fencing token (safety.md 5)."""

from dataclasses import replace
from typing import Final

from hacore.model.cluster import ClusterView, OwnRecord
from hacore.model.node import NodeState
from hacore.model.world import World

_NOBODY: Final = 0  # tokens begin with 1


def next_token(world: World, cluster: ClusterView) -> int:
    """Return a token above every one that this node has seen, also where the store was restored from an older state."""
    recorded = cluster.own.token if cluster.own else 0
    return max(recorded, world.memory.token) + 1


def acquisition(world: World, cluster: ClusterView, *, bootstrapping: bool = False) -> OwnRecord:
    """Return the own record that goes with taking the lock.

    Claims of this node's own newest acquisition pass on to the new token: the WAL of that timeline has one writer still.
    ``store_id`` is empty where a new one is to be made up by the step that writes it.
    """
    token = next_token(world, cluster)
    before = cluster.own
    claims = before.claims if before else ()
    mine = world.memory.held_token
    kept = tuple((timeline, token if claimed == mine else claimed) for timeline, claimed in claims)
    names = set(before.known_members if before else ()) | set(world.memory.members) | {member.name for member in cluster.members}
    return OwnRecord(
        store_id=(before.store_id if before else world.memory.store_id) or "",
        token=token,
        instance=None,
        holder=world.me.name,
        heartbeat=(before.heartbeat if before else 0) + 1,
        ttl_s=world.times.ttl_s,
        clean=None,
        unfenced=before.unfenced if before and before.unfenced == world.me.name else None,
        claims=kept,
        timeline=before.timeline if before else None,
        bootstrapping=bootstrapping,
        times=(world.times.ttl_s, world.times.loop_wait_s, world.times.retry_timeout_s),
        hold=before.hold if before else None,  # its leader has gone: it stands until this one is primary
        known_members=tuple(sorted(names | {world.me.name})),
        restore=before.restore if before else None,
    )


def with_claim(own: OwnRecord, timeline: int) -> OwnRecord:
    """Return the record with ``timeline`` claimed by its token."""
    claims = dict(own.claims)
    claims[timeline] = own.token
    return replace(own, claims=tuple(sorted(claims.items())), heartbeat=own.heartbeat + 1)


def on_timeline_of(own: OwnRecord, node: NodeState) -> OwnRecord:
    """Return the record with the timeline that this primary is on, and the one which that left: ``/history`` is compared with both."""
    return own if node.timeline is None else replace(own, timeline=node.timeline, parent=node.parent)


def without_idle_claims(own: OwnRecord) -> OwnRecord:
    """Return the record with nothing claimed by its token beyond its timeline: the numbers stay used up."""
    newest = own.timeline or 0
    claims = ((number, _NOBODY if token == own.token and number > newest else token) for number, token in own.claims)
    return replace(own, claims=tuple(claims), heartbeat=own.heartbeat + 1)


def without_hold(own: OwnRecord) -> OwnRecord:
    """Return the record with nothing held back."""
    return replace(own, hold=None, heartbeat=own.heartbeat + 1)


def drain_s(world: World) -> float:
    """Return by how much longer a planned switchover may take because routers hold work back first."""
    return world.policy.drain_timeout_s if world.me.drains else 0.0
