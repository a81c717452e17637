"""Server settings that must be the same on every member and so come from the dynamic configuration alone (interface reference 2.3)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hacore import convert
from hacore.convert import WrongValueError

# Settings that follow from other keys: the configuration's ``listen`` and ``scope``.
DERIVED: Final = ("listen_addresses", "port", "cluster_name")
_WAL_SEGMENT_MB: Final = 16
_SMALLEST_WAL_KEEP: Final = 16 << 20
_UNITLESS: Final = re.compile(r"[+-]?\d+")


@dataclass(frozen=True, slots=True)
class Controlled:
    """One setting: its default and the check that returns the value as PostgreSQL reads it."""

    default: str
    check: Callable[[str], str]


def _at_least(minimum: int) -> Callable[[str], str]:
    number = convert.whole(minimum)
    return lambda value: str(number(value))


def _switch(value: str) -> str:
    return "on" if convert.flag(value) else "off"


def _only_on(value: str) -> str:
    if not convert.flag(value):
        raise WrongValueError("on: standbys answer queries")
    return "on"


def _wal_level(value: str) -> str:
    return convert.choice("replica", "logical", synonyms={"hot_standby": "replica"})(value)


def _wal_keep_size(value: str) -> str:
    # Without a unit the server counts megabytes, not bytes.
    text = f"{value}MB" if _UNITLESS.fullmatch(value.strip()) else value.strip()
    found = convert.size_bytes(text)
    if found < _SMALLEST_WAL_KEEP:
        raise WrongValueError("16MB or more")
    return f"{found >> 20}MB"


CONTROLLED: Final[Mapping[str, Controlled]] = {
    "wal_level": Controlled("replica", _wal_level),
    "hot_standby": Controlled("on", _only_on),
    "max_connections": Controlled("100", _at_least(25)),
    "max_wal_senders": Controlled("10", _at_least(3)),
    "wal_keep_size": Controlled("128MB", _wal_keep_size),
    "max_prepared_transactions": Controlled("0", _at_least(0)),
    "max_locks_per_transaction": Controlled("64", _at_least(32)),
    "track_commit_timestamp": Controlled("off", _switch),
    "max_replication_slots": Controlled("10", _at_least(4)),
    "max_worker_processes": Controlled("8", _at_least(2)),
    "wal_log_hints": Controlled("on", _switch),
}
OLD_WAL_KEEP: Final = "wal_keep_segments"
NAMES: Final = frozenset({*CONTROLLED, *DERIVED, OLD_WAL_KEEP})


def controlled_parameters(dynamic: Mapping[str, str | None], warnings: list[str]) -> dict[str, str]:
    """Return all controlled settings: the dynamic value where it is valid, the default else."""
    wanted = dict(dynamic)
    if (segments := wanted.pop(OLD_WAL_KEEP, None)) is not None and wanted.get("wal_keep_size") is None:
        wanted["wal_keep_size"] = f"{int(segments) * _WAL_SEGMENT_MB}MB" if segments.isdecimal() else segments
    found = {name: _one(name, controlled, wanted.get(name), warnings) for name, controlled in CONTROLLED.items()}
    warnings.extend(
        f"postgresql.parameters.{name}: follows from other settings of each node and is ignored" for name in DERIVED if wanted.get(name)
    )
    return found


def _one(name: str, controlled: Controlled, value: str | None, warnings: list[str]) -> str:
    if value is None:
        return controlled.default
    try:
        return controlled.check(value)
    except WrongValueError as error:
        warnings.append(f"postgresql.parameters.{name}: found {value!r}, wanted {error}; {controlled.default} is used")
        return controlled.default
