"""The status document: what ``/patroni`` and every health check answer with (interface reference 4.3).

Pure: from the shared picture, and from what the server answered just now where somebody asked it. Keys stand in the field's order; what is
ours stands under ``hacore``.
"""

import json
from dataclasses import dataclass

from hacore import INTERFACE_VERSION, __version__
from hacore.model.archive import ArchiveState
from hacore.publish.picture import Picture, Sender

_SERVER_STATES = frozenset({"running", "restarting", "starting"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the server itself answered."""

    in_recovery: bool
    postmaster_start_time: str | None = None
    server_version: int | None = None
    timeline: int | None = None
    location: int | None = None  # primary
    received: int | None = None  # standby: written, maybe not yet durable
    durable: int | None = None  # standby: flushed or replayed
    replayed: int | None = None
    replayed_at: str | None = None
    replay_paused: bool = False
    replication_state: str | None = None
    latest_end: int | None = None  # standby: the leader's position as its last message told it
    senders: tuple[Sender, ...] = ()

    @property
    def role(self) -> str:
        """The role in the words of the field."""
        return "replica" if self.in_recovery else "primary"


def of_picture(picture: Picture) -> Measured | None:
    """Return what the server answered in the turn of the picture; ``None`` where it did not answer."""
    if not picture.running:
        return None
    return Measured(
        in_recovery=picture.role != "primary",
        postmaster_start_time=picture.postmaster_start_time,
        server_version=picture.server_version,
        timeline=picture.timeline,
        location=picture.location,
        received=picture.received,
        durable=_max(picture.received, picture.replayed),
        replayed=picture.replayed,
        replayed_at=picture.replayed_at,
        replay_paused=picture.replay_paused,
        replication_state=picture.replication_state,
        senders=picture.senders,
    )


def may_have_server(picture: Picture) -> bool:
    """Tell whether it makes sense to ask the server, or to say that it did not answer."""
    return picture.state in _SERVER_STATES


def document(picture: Picture, measured: Measured | None) -> dict[str, object]:
    """Build the status document. ``measured`` is ``None`` where the server does not run or did not answer."""
    if not may_have_server(picture):
        measured = None
    found: dict[str, object] = {"state": picture.state, "role": picture.role}
    if measured is not None:
        found |= _server(picture, measured)
    elif picture.state == "running":
        found["state"] = "unknown"
    found |= _cluster(picture)
    found["patroni"] = {"version": picture.version, "scope": picture.scope, "name": picture.name}
    if picture.scheduled_restart is not None:
        scheduled = json.loads(picture.scheduled_restart)
        scheduled.pop("postmaster_start_time", None)
        found["scheduled_restart"] = scheduled
    found["hacore"] = _own(picture, measured)
    return found


def unheard(name: str, scope: str, measured: Measured | None) -> dict[str, object]:
    """Build the document of a node whose agent has not been heard of, or not for ttl: only what the server itself says counts."""
    found: dict[str, object] = {"state": "unknown", "role": "unknown"}
    if measured is not None:
        found |= {"state": "running", "role": measured.role, "server_version": measured.server_version, "xlog": _positions(measured)}
        if measured.timeline:
            found["timeline"] = measured.timeline
    found["patroni"] = {"version": INTERFACE_VERSION, "scope": scope, "name": name}
    durable = measured.durable if measured is not None and measured.in_recovery else None
    found["hacore"] = {"version": __version__, "refuses_election": "its agent is silent", **({"durable_lsn": durable} if durable else {})}
    return found


def _server(picture: Picture, measured: Measured) -> dict[str, object]:
    found: dict[str, object] = {
        "state": picture.state,
        "postmaster_start_time": measured.postmaster_start_time,
        "role": measured.role,
        "server_version": measured.server_version,
        "xlog": _positions(measured),
    }
    if picture.sync_standby:
        found["sync_standby"] = True
    if picture.quorum_standby:
        found["quorum_standby"] = True
    timeline = measured.timeline or picture.timeline
    if timeline:
        found["timeline"] = timeline
    if measured.in_recovery and measured.replication_state:
        found["replication_state"] = measured.replication_state
    if measured.senders:
        found["replication"] = [_sender(row) for row in measured.senders]
    return found


def _positions(measured: Measured) -> dict[str, object]:
    if not measured.in_recovery:
        return {"location": measured.location}
    replayed = measured.replayed or 0
    return {
        "received_location": measured.received or replayed,
        "replayed_location": replayed,
        "replayed_timestamp": measured.replayed_at,
        "paused": measured.replay_paused,
    }


def _sender(row: Sender) -> dict[str, object]:
    return {
        "usename": row.usename,
        "application_name": row.application_name,
        "client_addr": row.client_addr,
        "state": row.state,
        "sync_state": row.sync_state,
        "sync_priority": row.sync_priority,
    }


def _cluster(picture: Picture) -> dict[str, object]:
    found: dict[str, object] = {
        "pause": picture.pause,
        "cluster_unlocked": picture.cluster_unlocked,
        "failsafe_mode_is_active": picture.failsafe_active,
        "dcs_last_seen": picture.dcs_last_seen,
        "tags": dict(picture.tags),
        "database_system_identifier": picture.system_id,
        "pending_restart": bool(picture.pending_restart),
        "pending_restart_reason": {name: {"old_value": old, "new_value": new} for name, old, new in picture.pending_restart},
    }
    return {key: value for key, value in found.items() if value or key == "dcs_last_seen"}


def _own(picture: Picture, measured: Measured | None) -> dict[str, object]:
    found: dict[str, object] = {
        "version": picture.hacore_version,
        "rule": f"{picture.table}.{picture.rule}" if picture.table else picture.rule,
        "reason": picture.reason,
        "fence": picture.fence,
        "token": picture.token,
        "unsupported": list(picture.unsupported),
        "refuses_election": picture.refuses_election,
        "reinitialize": _reinitialize(picture),
        "routers": _routers(picture),
        "plugins": _plugins(picture),
        "archive": _archive(picture.archive) if picture.archive is not None else None,
        "durable_lsn": measured.durable if measured is not None and measured.in_recovery else None,
    }
    return {key: value for key, value in found.items() if value or key in {"version", "fence"}}


def _reinitialize(picture: Picture) -> dict[str, object] | None:
    if picture.reinitialize is None:
        return None if picture.reinitialized is None else {"id": picture.reinitialized, "state": "done"}
    name, error = picture.reinitialize
    return {"id": name, "state": "goes on"} if error is None else {"id": name, "state": "failed", "error": error}


def _routers(picture: Picture) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, layer, problem, applied_at, target, _ in picture.figures.routers:
        state = "degraded" if problem is not None else "waiting" if applied_at is None else "applied"
        shown = {"layer": layer, "state": state, "reason": problem, "target": target}
        found[name] = {key: value for key, value in shown.items() if value is not None}
    return found


def _plugins(picture: Picture) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for plugin, key, value in picture.figures.plugin_words:
        found.setdefault(plugin, {})[key] = value
    return found


def _archive(state: ArchiveState) -> dict[str, object]:
    found: dict[str, object] = {
        "name": state.name,
        "identity": state.identity.value,
        "owner": state.owner,
        "fault": state.fault,
        "ready_files": state.ready_files,
        "last_segment": state.last_segment,
        "gaps": list(state.gaps) or None,
    }
    return {key: value for key, value in found.items() if value is not None}


def _max(*positions: int | None) -> int | None:
    return max((one for one in positions if one is not None), default=None)
