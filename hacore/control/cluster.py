"""The cluster as ``/cluster`` and ``/history`` show it (interface reference 4.2). Pure but for the two commands at the end."""

import json
from typing import Final
from urllib.parse import urlsplit

from hacore.config.keys import Dynamic, Reading
from hacore.control.context import STORE_S, Body, Context
from hacore.control.wire import Reply, json_reply
from hacore.errors import DcsUnavailableError
from hacore.interfaces import Dcs
from hacore.model.cluster import ClusterView, HistoryLine, Member
from hacore.model.lsn import Lsn
from hacore.model.world import World
from hacore.records.cluster import read_cluster
from hacore.records.history import history_json
from hacore.records.member import pending_restart_fields, scheduled_restart_fields

_UNKNOWN: Final = "unknown"
_POSTGRES_PORT: Final = 5432


def cluster_document(view: ClusterView, scope: str) -> dict[str, object]:
    """Build ``/cluster``: members by name, then what holds for all."""
    found: dict[str, object] = {"members": [_member(view, one) for one in sorted(view.members, key=lambda one: one.name)]}
    if is_paused(view):
        found["pause"] = True
    wish = view.failover
    if wish is not None and wish.scheduled_at is not None:
        scheduled = {"at": wish.scheduled_at.isoformat(), "from": wish.leader, "to": wish.candidate}
        found["scheduled_switchover"] = {key: value for key, value in scheduled.items() if value}
    found["scope"] = scope
    return found


def is_paused(view: ClusterView) -> bool:
    """Tell whether the dynamic configuration says that automatic actions are paused."""
    return dynamic_of(view).take(Dynamic.PAUSE)


def dynamic_of(view: ClusterView) -> Reading:
    """Read the dynamic configuration of a cluster, as its members do; all defaults where there is none."""
    return Reading(json.loads(view.config) if view.config else {})


def role_in_cluster(view: ClusterView, member: Member) -> str:
    """Return what the member is to the cluster: only the holder of the lock is the leader."""
    if view.lock is None or view.lock.holder != member.name:
        return "replica"
    return "standby_leader" if member.role == "standby_leader" else "leader"


def _member(view: ClusterView, member: Member) -> dict[str, object]:
    role = role_in_cluster(view, member)
    leads = role != "replica"
    found: dict[str, object] = {
        "name": member.name,
        "role": role,
        "state": member.state if leads else member.replication_state or member.state,
        "api_url": member.api_url,
    }
    found |= _address(member.conn_url)
    if member.timeline is not None:
        found["timeline"] = member.timeline
    if member.pending_restart:
        found["pending_restart"] = True
        if member.pending_restart_reason:
            found["pending_restart_reason"] = pending_restart_fields(member.pending_restart_reason)
    if member.scheduled_restart is not None:
        found["scheduled_restart"] = scheduled_restart_fields(member.scheduled_restart)
    if member.tags.published:
        found["tags"] = dict(member.tags.published)
    return found if leads else found | _positions(view.status.optime, member)


def _address(conn_url: str | None) -> dict[str, object]:
    if conn_url is None:
        return {}
    try:
        parts = urlsplit(conn_url)
        host, port = parts.hostname, parts.port or _POSTGRES_PORT
    except ValueError:  # somebody else's record
        return {}
    return {"host": host, "port": port} if host else {}


def _positions(optime: Lsn | None, member: Member) -> dict[str, object]:
    return {
        "lag": _lag(optime, member.lsn),
        "lsn": _text(member.lsn),
        "receive_lsn": _text(member.receive_lsn),
        "receive_lag": _lag(optime, member.receive_lsn),
        "replay_lsn": _text(member.replay_lsn),
        "replay_lag": _lag(optime, member.replay_lsn),
    }


def _text(lsn: Lsn | None) -> str:
    return _UNKNOWN if lsn is None else str(lsn)


def _lag(optime: Lsn | None, lsn: Lsn | None) -> int | str:
    return _UNKNOWN if optime is None or lsn is None else max(0, optime - lsn)


def history_rows(lines: tuple[HistoryLine, ...] | None) -> str:
    """Build ``/history``."""
    return json.dumps(json.loads(history_json(lines or ())))


def read(dcs: Dcs, timeout_s: float) -> ClusterView:
    """Read the cluster afresh."""
    return read_cluster(dcs.snapshot(timeout_s=timeout_s))


def show_cluster(context: Context, _: Body) -> Reply:
    """``GET /cluster``: always a fresh look at the store."""

    def look(dcs: Dcs, world: World) -> dict[str, object]:
        return cluster_document(read(dcs, context.budget_s(world)), world.me.scope)

    return json_reply(context.loop.call(look, STORE_S))


def show_history(context: Context, _: Body) -> Reply:
    """``GET /history``: as it was seen last."""
    world, _decision = context.latest()
    if world.cluster is None:
        raise DcsUnavailableError(world.cluster_error or "the store has not been read yet")
    return Reply(status=200, document=history_rows(world.cluster.history))
