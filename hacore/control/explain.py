"""Why this node does what it does: the rule of the last turn, what it rested on, and what stands between each member and the lead."""

from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Any

from hacore.control.context import Body, Context
from hacore.control.wire import Reply, json_reply
from hacore.model.cluster import ClusterView, Member
from hacore.model.policy import Policy
from hacore.model.world import Decision, World
from hacore.publish.picture import Figures, picture


def explain(context: Context, _: Body) -> Reply:
    """What ``hacore explain`` shows."""
    world, decision = context.latest()
    return json_reply(explanation(world, decision, context.figures(), context.clock.now()))


def status(context: Context, _: Body) -> Reply:
    """What the agent knows of its node, as one flat document."""
    world, decision = context.latest()
    shown = asdict(picture(world, decision, figures=context.figures()))
    left_s = max(0.0, world.lease.fence_at - context.clock.now()) if world.lease else None
    leader = world.cluster.lock.holder if world.cluster and world.cluster.lock else None
    return json_reply({**shown, "leader": leader, "lease_remaining_s": left_s, "store_error": world.cluster_error})


def explanation(world: World, decision: Decision, figures: Figures, now: float) -> dict[str, object]:
    """Build the explanation. Pure."""
    return {
        "member": world.me.name,
        "scope": world.me.scope,
        "decision": {
            "table": decision.table,
            "rule": decision.rule,
            "reason": decision.reason,
            "steps": [_step(one) for one in decision.steps],
            "age_s": round(max(0.0, now - world.now), 3),
        },
        "node": _node(world),
        "store": _store(world),
        "lease": _lease(world, now),
        "job": {"kind": world.job.kind.value, "progress": world.job.progress} if world.job else None,
        "commands": [{"kind": type(one).__name__, **_plain(one)} for one in world.commands],
        "peers": [_plain(one) for one in world.peers],
        "failover": _candidates(world),
        "rules": [{"table": table, "rule": rule, "count": count} for table, rule, count in figures.rules],
    }


def obstacles(member: Member, view: ClusterView, policy: Policy) -> tuple[str, ...]:
    """Tell what keeps a member from taking over, as far as its record says. Empty: nothing."""
    found = []
    if not member.tags.may_lead:
        found.append("its tags say that it must not lead")
    if not member.is_running:
        found.append(f"its server is not running: {member.state}")
    optime, lsn = view.status.optime, member.lsn
    if lsn is None:
        found.append("its position is not known")
    elif optime is not None and optime - lsn > policy.maximum_lag_on_failover:
        found.append(f"it is {optime - lsn} bytes behind, at most {policy.maximum_lag_on_failover} are allowed")
    if policy.check_timeline and view.timeline is not None and member.timeline is not None and member.timeline < view.timeline:
        found.append(f"it is on timeline {member.timeline}, the cluster on {view.timeline}")
    return tuple(found)


def _candidates(world: World) -> list[dict[str, object]]:
    view = world.cluster
    if view is None:
        return []
    holder = view.lock.holder if view.lock else None
    others = (one for one in view.members if one.name != holder)
    return [{"member": one.name, "obstacles": list(obstacles(one, view, world.policy))} for one in others]


def _node(world: World) -> dict[str, object]:
    node = world.node
    return {
        "server": node.server.value,
        "role": node.role.value if node.role else None,
        "timeline": node.timeline,
        "lsn": str(node.lsn) if node.lsn is not None else None,
        "directory": node.directory.state.value,
        "replication_state": node.replication_state,
        "upstream": node.upstream.member if node.upstream else None,
        "fence": {"coverage": node.fence.coverage, "armed": node.fence.armed, "fired": node.fence.fired},
        "pending_restart": [name for name, _, _ in node.pending_restart],
        "last_start_failed": node.last_start_failed,
    }


def _store(world: World) -> dict[str, object]:
    view = world.cluster
    if view is None:
        return {"readable": False, "error": world.cluster_error}
    return {
        "readable": True,
        "leader": view.lock.holder if view.lock else None,
        "members": [one.name for one in view.members],
        "timeline": view.timeline,
        "optime": str(view.status.optime) if view.status.optime is not None else None,
        "pause": world.policy.pause,
        "failover_wish": _plain(view.failover) if view.failover else None,
        "broken_records": sorted(view.broken),
        "unsupported": list(world.policy.unsupported),
        "refuses_election": world.refuses_election,
    }


def _lease(world: World, now: float) -> dict[str, object] | None:
    lease = world.lease
    if lease is None:
        return None
    return {
        "token": lease.token,
        "ttl_s": lease.ttl_s,
        "fence_in_s": round(lease.fence_at - now, 3),
        "ends_in_s": round(lease.ends_at - now, 3),
    }


def _step(step: object) -> str:
    """Write a step as its name and what is set in it."""
    said = ", ".join(f"{name}={value}" for name, value in _plain(step).items() if value not in (None, (), [], {}, False))
    return f"{type(step).__name__}({said})" if len(said) <= 200 else type(step).__name__  # noqa: PLR2004 - one readable line


def _plain(value: object) -> dict[str, Any]:
    if not is_dataclass(value) or isinstance(value, type):
        return {}
    return {name: one.isoformat() if isinstance(one, datetime) else one for name, one in asdict(value).items()}
