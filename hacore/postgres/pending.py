"""Which settings wait for a restart (interface reference 2.5).

The server's own flag is not enough: it never tells of a setting that was given on the postmaster's command line.
"""

from collections.abc import Mapping
from typing import Final

from hacore.postgres import units
from hacore.postgres.connection import Row
from hacore.postgres.parameters import RECOVERY, Change

QUERY: Final = """SELECT s.name, s.setting, s.unit, s.vartype, s.context, s.pending_restart, current_setting(s.name), f.setting, s.boot_val
    FROM pg_settings s
    LEFT JOIN LATERAL (SELECT setting FROM pg_file_settings WHERE name = s.name ORDER BY seqno DESC LIMIT 1) f ON s.pending_restart
    WHERE s.pending_restart OR (s.context = 'postmaster' AND lower(s.name) = ANY(%s::text[]))"""
_NEVER: Final = RECOVERY | {"hot_standby"}


def changes(rows: list[Row], wanted: Mapping[str, str]) -> tuple[Change, ...]:
    """Return what a restart would change, by name: value in force, value wanted, in units for people."""
    found = []
    for name, setting, unit, kind, context, is_pending, shown, in_file, default in rows:
        if name.lower() in _NEVER:
            continue
        value = wanted.get(name.lower())
        if value is None and is_pending:
            value = in_file if in_file is not None else default
        if value is None or (context != "postmaster" and not is_pending) or _is_same(name, value, setting, kind, unit):
            continue
        found.append((name, str(shown), _shown(value, kind, unit)))
    return tuple(sorted(found))


def _is_same(name: str, wanted: str, setting: str, kind: str, unit: str | None) -> bool:
    if name == "listen_addresses":
        return _words(wanted) == _words(setting)
    return units.same(wanted, setting, kind=kind, unit=unit)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _shown(value: str, kind: str, unit: str | None) -> str:
    if kind == "bool":
        known = units.boolean(value)
        return value if known is None else ("on" if known else "off")
    number = units.number(value, unit) if kind in {"integer", "real"} else None
    return value if number is None else units.human(number, unit)
