"""The tables of ``hacore backup``. Documents of REST in, sheets out."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from hacore.cli.sheet import Column, Sheet, plain

_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_STEP: Final = 1024


def _time(value: object) -> str:
    try:
        return datetime.fromisoformat(str(value)).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z") if value else ""
    except ValueError:
        return str(value)


def _size(value: object) -> str:
    if not isinstance(value, int | float):
        return ""
    found, unit = float(value), 0
    while found >= _STEP and unit < len(_UNITS) - 1:
        found, unit = found / _STEP, unit + 1
    return f"{found:.1f} {_UNITS[unit]}" if unit else f"{found:.0f} B"


def _state_style(value: object) -> str:
    return {"ok": "green", "failed": "red", "running": "yellow"}.get(str(value), "")


_BACKUPS: Final = (
    Column(title="Backup"),
    Column(title="Kind"),
    Column(title="State", style=_state_style),
    Column(title="Began", text=_time, is_wide=True),
    Column(title="Ended", text=_time),
    Column(title="TL", right=True),
    Column(title="LSN", right=True, is_wide=True),
    Column(title="Size", right=True, text=_size),
    Column(title="Stored", right=True, text=_size, optional=True),
    Column(title="Parent", optional=True),
    Column(title="On", optional=True),
    Column(title="Verified", text=_time, optional=True),
    Column(title="In doubt", optional=True),
    Column(title="Locked", optional=True),
)
_ONE: Final = (Column(title="What"), Column(title="Value", wraps=True))
_EXPIRY: Final = (Column(title="Backup"), Column(title="Goes"), Column(title="Reason", wraps=True))


def backups_sheet(found: Mapping[str, Any], scope: str) -> Sheet:
    """Lay out ``GET /backups``."""
    rows = tuple(
        {
            "Backup": one.get("id"),
            "Kind": one.get("kind"),
            "State": one.get("state"),
            "Began": one.get("started_at"),
            "Ended": one.get("stopped_at"),
            "TL": one.get("timeline"),
            "LSN": one.get("stop_lsn"),
            "Size": one.get("size_bytes"),
            "Stored": one.get("stored_bytes"),
            "Parent": one.get("parent"),
            "On": one.get("host"),
            "Verified": one.get("verified_at"),
            "In doubt": one.get("is_in_doubt"),
            "Locked": one.get("is_locked"),
        }
        for one in sorted(found.get("backups", ()), key=lambda one: str(one.get("stopped_at") or one.get("started_at") or ""))
    )
    return Sheet(columns=_BACKUPS, rows=rows, title=f"Backups of {scope} ({found.get('plugin')})", footer=tuple(_footer(found)))


def backup_sheet(one: Mapping[str, Any]) -> Sheet:
    """Lay out one backup, a line for each thing that is known."""
    times = ("started_at", "stopped_at", "verified_at")
    rows = [
        {"What": name, "Value": _time(value) if name in times else _size(value) if name.endswith("_bytes") else plain(value)}
        for name, value in one.items()
    ]
    return Sheet(columns=_ONE, rows=tuple(rows), title=f"Backup {one.get('id')}")


def expiry_sheet(plan: Mapping[str, Any]) -> Sheet:
    """Lay out what goes and what stays."""
    rows = [{"Backup": name, "Goes": True} for name in plan["remove"]]
    rows += [{"Backup": one["id"], "Goes": False, "Reason": one["reason"]} for one in plan["keep"]]
    return Sheet(columns=_EXPIRY, rows=tuple(rows), title="Expiry")


def _footer(found: Mapping[str, Any]) -> Iterator[str]:
    if task := found.get("task"):
        yield f" {task['work']} goes on on {task['member']} since {_time(task['asked_at'])}: {task.get('progress') or task.get('reason')}"
    for result in found.get("results", ()):
        if result.get("error"):
            yield f" {result['work']} on {result['member']} failed {_time(result['ended_at'])}: {result['error']}"
    if found.get("next_backup"):
        yield f" Next: {_time(found['next_backup'])} ({found.get('schedule')})"
