"""``hacore list`` and ``hacore topology``: the columns and rows of the field (interface reference 9), made of one reading of the store.

Pure: it reads and prints nothing.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from hacore.cli.console import MARK
from hacore.cli.sheet import Column, Row, Sheet, block, short_lines
from hacore.control.cluster import cluster_document
from hacore.model.cluster import ClusterView, Member

_MB: Final = 1 << 20
_POSTGRES_PORT: Final = 5432
_LABEL_WIDTH: Final = 24
_GOOD: Final = frozenset({"running", "streaming", "in archive recovery"})
_BAD: Final = ("crashed", "failed", "unknown")


def _state_style(value: object) -> str:
    text = str(value)
    return "green" if text in _GOOD else "red" if text.endswith(_BAD) else "yellow"


def _role_style(value: object) -> str:
    return "bold" if value in {"Leader", "Standby Leader"} else ""


COLUMNS: Final = (
    Column(title="Cluster", for_programs=True),
    Column(title="Member"),
    Column(title="Host"),
    Column(title="Role", style=_role_style),
    Column(title="State", style=_state_style),
    Column(title="TL", right=True),
    Column(title="Receive LSN", right=True, is_wide=True),
    Column(title="Receive Lag", header="Lag", narrow_header="Receive\nLag", right=True),
    Column(title="Replay LSN", right=True, is_wide=True),
    Column(title="Replay Lag", header="Lag", narrow_header="Replay\nLag", right=True),
    Column(title="Pending restart", optional=True),
    Column(title="Pending restart reason", optional=True, text=short_lines),
    Column(title="Scheduled restart", optional=True),
    Column(title="Tags", optional=True, text=block),
)


def members_sheet(view: ClusterView, scope: str) -> Sheet:
    """Make the table of ``list``: members by name."""
    shown = _members(view, scope)
    return _sheet(view, scope, (_row(scope, one, shown) for one in shown))


def topology_sheet(view: ClusterView, scope: str) -> Sheet:
    """Make the table of ``topology``: each member below the one that it streams from."""
    shown = {str(one["name"]): one for one in _members(view, scope)}
    rows = []
    for name, level in _tree(view):
        prefix = "" if level == 0 else "  " * (level - 1) + "+ "
        rows.append({**_row(scope, shown[name], shown.values()), "Member": prefix + name})
    return _sheet(view, scope, rows)


def title_of(view: ClusterView, scope: str) -> str:
    """Return the title: the cluster, and whether it is a cluster yet."""
    state = "uninitialized" if view.initialize is None else view.initialize or "initializing"
    return f"Cluster: {scope} ({state})"


def _sheet(view: ClusterView, scope: str, rows: Iterable[Row]) -> Sheet:
    return Sheet(columns=COLUMNS, rows=tuple(rows), title=title_of(view, scope), footer=tuple(_footer(view, scope)))


def _members(view: ClusterView, scope: str) -> list[dict[str, Any]]:
    found: Any = cluster_document(view, scope)["members"]
    members: list[dict[str, Any]] = found
    return members


def _row(scope: str, one: dict[str, Any], everyone: Iterable[dict[str, Any]]) -> Row:
    return {
        "Cluster": scope,
        "Member": one["name"],
        "Host": _host(one, list(everyone)),
        "Role": str(one["role"]).replace("_", " ").title(),
        "State": one["state"],
        "TL": one.get("timeline"),
        "Receive LSN": one.get("receive_lsn"),
        "Receive Lag": _megabytes(one.get("receive_lag")),
        "Replay LSN": one.get("replay_lsn"),
        "Replay Lag": _megabytes(one.get("replay_lag")),
        "Pending restart": MARK if one.get("pending_restart") else None,
        "Pending restart reason": _reasons(one.get("pending_restart_reason")),
        "Scheduled restart": _schedule(one.get("scheduled_restart")),
        "Tags": one.get("tags"),
    }


def _host(one: dict[str, Any], everyone: list[dict[str, Any]]) -> str | None:
    """Return the host, with its port where that is needed to tell members apart."""
    host = one.get("host")
    if host is None:
        return None
    hosts = [other.get("host") for other in everyone]
    needs_port = len(set(hosts)) < len(hosts) or any(other.get("port") not in {None, _POSTGRES_PORT} for other in everyone)
    bracketed = f"[{host}]" if ":" in host and needs_port else host
    return f"{bracketed}:{one.get('port')}" if needs_port else bracketed


def _megabytes(lag: object) -> int | str | None:
    return round(lag / _MB) if isinstance(lag, int) else None if lag is None else str(lag)


def _reasons(found: dict[str, dict[str, str]] | None) -> str | None:
    if not found:
        return None
    return "\n".join(f"{name}: {values['old_value']}->{values['new_value']}" for name, values in found.items())


def _schedule(found: dict[str, Any] | None) -> str | None:
    if not found:
        return None
    condition = f" if version < {found['postgres_version']}" if found.get("postgres_version") else ""
    return f"{found.get('schedule', 'unknown')}{condition}"


def _tree(view: ClusterView) -> Iterator[tuple[str, int]]:
    """Yield each member once with its depth, the leader first, then who streams from it."""
    members = sorted(view.members, key=lambda one: one.name)
    leader = view.leader.name if view.leader else None
    above = {one.name: _upstream(one, view, leader) for one in members}
    tops = [one.name for one in members if above[one.name] is None]
    seen: set[str] = set()
    waiting = [(name, 0) for name in sorted(tops, key=lambda name: (name != leader, name), reverse=True)]
    while waiting:
        name, level = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        yield name, level
        waiting += [(below, level + 1) for below in sorted(above, reverse=True) if above[below] == name]
    yield from ((one.name, 1) for one in members if one.name not in seen)  # they name each other


def _upstream(one: Member, view: ClusterView, leader: str | None) -> str | None:
    if one.name == leader:
        return None
    named = one.tags.replicatefrom
    return named if named != one.name and view.member(named) is not None else leader


def _footer(view: ClusterView, scope: str) -> Iterator[str]:
    document = cluster_document(view, scope)
    if document.get("pause"):
        yield " Maintenance mode: on"
    restore = view.own.restore if view.own is not None else None
    if restore is not None and restore.is_active:
        yield f" Restore to {restore.target} by {restore.member}: {restore.state}; `hacore restore --cancel` ends it"
    scheduled: Any = document.get("scheduled_switchover")
    if scheduled:
        yield f" Switchover scheduled at: {scheduled['at']}"
        yield from (f"{end + ':':>{_LABEL_WIDTH}} {scheduled[end]}" for end in ("from", "to") if scheduled.get(end))
    yield from _said_by_members(view)
    if view.broken:
        yield f" Records that cannot be read: {', '.join(sorted(view.broken))}"


def _said_by_members(view: ClusterView) -> Iterator[str]:
    ignoring: dict[str, list[str]] = {}
    for member in view.members:
        for sentence in member.unsupported:
            ignoring.setdefault(sentence, []).append(member.name)
    for sentence, members in sorted(ignoring.items()):
        yield f" Note: {sentence} (by {', '.join(sorted(members))})"
    for member in view.members:
        if member.archive_fault is not None:
            yield f" Archive of {member.name}: {' '.join(member.archive_fault.split())}"
    partial = sorted(member.name for member in view.members if member.is_fence_partial)
    if partial:
        yield f" fence: partial on {', '.join(partial)}: PostgreSQL was not started by the guard; a restart makes it full"
