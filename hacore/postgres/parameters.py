"""Which server settings are written where (interface reference 2.2 to 2.5). Pure: values in, values out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hacore.config.postgres_settings import PostgresSettings
from hacore.model.node import Upstream
from hacore.postgres import units
from hacore.postgres.archive_parameters import RETRY_INTERVAL, ArchivePart
from hacore.postgres.conninfo import format_conninfo, options_of
from hacore.postgres.programs import KnownParameter

# On the command line as well, so that ALTER SYSTEM cannot overrule them.
COMMAND_LINE: Final = (
    "listen_addresses",
    "port",
    "cluster_name",
    "wal_level",
    "hot_standby",
    "max_connections",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
    "track_commit_timestamp",
    "max_replication_slots",
    "max_worker_processes",
    "wal_log_hints",
)
TARGETS: Final = ("recovery_target", "recovery_target_lsn", "recovery_target_name", "recovery_target_time", "recovery_target_xid")
RECOVERY: Final = frozenset(
    {
        *TARGETS,
        "recovery_target_timeline",
        "recovery_target_action",
        "recovery_target_inclusive",
        "restore_command",
        "archive_cleanup_command",
        "recovery_end_command",
        "recovery_min_apply_delay",
        "primary_conninfo",
        "primary_slot_name",
        "promote_trigger_file",
    }
)
# What a backup tool or ALTER SYSTEM may have left and what we set ourselves: never from postgresql.auto.conf.
FOREIGN: Final = RECOVERY - {"archive_cleanup_command", "recovery_end_command", "recovery_min_apply_delay"}

# Written where nobody has set it. PostgreSQL's five seconds are what a standby waits before it connects to the next primary.
_RETRY: Final = "500ms"

Change = tuple[str, str, str]  # setting, value in force, value wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every setting in its place."""

    normal: Mapping[str, str]
    recovery: Mapping[str, str] = field(repr=False)
    command_line: tuple[str, ...]
    clamped: tuple[Change, ...] = ()
    warnings: tuple[str, ...] = ()


def make_plan(
    settings: PostgresSettings,
    *,
    known: Mapping[str, KnownParameter],
    recovery: Mapping[str, str],
    limits: Mapping[str, int] | None = None,
    archive: ArchivePart | None = None,
) -> Plan:
    """Lay out the settings.

    :param recovery: with the archive's part in it.
    :param limits: of a standby's control file: with less than its primary it would not start.
    :param archive: stands above what a person has set.
    """
    warnings: list[str] = [] if archive is None else list(archive.warnings)
    merged = {**settings.parameters, **settings.controlled_parameters, **(archive.normal if archive else {})}
    moved = {name: value for name, value in merged.items() if name in RECOVERY}
    normal = {name: value for name, value in merged.items() if name not in RECOVERY}
    normal, clamped = clamp(normal, limits or {})
    normal = _checked(normal, known, warnings)
    wanted = {name: value for name, value in {**moved, **recovery}.items() if name in known}
    return Plan(
        normal=normal,
        recovery=wanted,
        command_line=tuple(f"--{name}={normal[name]}" for name in COMMAND_LINE if name in normal),
        clamped=clamped,
        warnings=tuple(warnings),
    )


def recovery_settings(settings: PostgresSettings, upstream: Upstream, *, major: int, passfile: str) -> dict[str, str]:
    """Return the recovery settings of a standby that follows ``upstream``; harmless on a primary."""
    values = {name: value for name, value in settings.recovery_conf.items() if name not in FOREIGN - {"restore_command"}}
    values |= dict.fromkeys(TARGETS, "")
    values["recovery_target_timeline"] = "latest"
    values["primary_conninfo"] = primary_conninfo(settings, upstream, major=major, passfile=passfile) if upstream.host else ""
    values["primary_slot_name"] = (upstream.slot or "") if upstream.host else ""
    return values


def primary_conninfo(settings: PostgresSettings, upstream: Upstream, *, major: int, passfile: str) -> str:
    """Return the connection string by which a standby streams; the password stands in ``passfile``."""
    connection = settings.authentication.replication
    values = {"host": upstream.host, "port": str(upstream.port), "sslmode": "prefer"}
    values |= options_of(connection, major)
    if connection.password:
        values["passfile"] = passfile
    if connection.sslpassword:
        values["sslpassword"] = connection.sslpassword  # libpq takes it from nowhere else; the file is its owner's alone
    if settings.krbsrvname:
        values["krbsrvname"] = settings.krbsrvname
    values["application_name"] = settings.name
    values["dbname"] = settings.database
    return format_conninfo(values)


def with_retry_interval(settings: PostgresSettings, base: Mapping[str, str]) -> dict[str, str]:
    """Return a short retry interval, unless a person has set one, or each try would start a ``restore_command``."""
    set_by = (settings.parameters, settings.recovery_conf, base)
    is_set = any(RETRY_INTERVAL in values or "restore_command" in values for values in set_by)
    return {} if is_set else {RETRY_INTERVAL: _RETRY}


def clamp(values: Mapping[str, str], limits: Mapping[str, int]) -> tuple[dict[str, str], tuple[Change, ...]]:
    """Raise what is below the primary's value, and say what was raised: (setting, value in force, value wanted)."""
    found, raised = dict(values), []
    for name, limit in limits.items():
        wanted = found.get(name)
        number = units.number(wanted, None) if wanted is not None else None
        if wanted is not None and number is not None and number < limit:
            found[name] = str(limit)
            raised.append((name, str(limit), wanted))
    return found, tuple(raised)


def _checked(values: Mapping[str, str], known: Mapping[str, KnownParameter], warnings: list[str]) -> dict[str, str]:
    """Leave out what this server would refuse to start with, and say so."""
    found = {}
    for name, value in values.items():
        parameter = known.get(name)
        if parameter is None:
            if "." in name or not known:
                found[name] = value
            else:
                warnings.append(f"{name}: this version of PostgreSQL has no such setting, ignored")
            continue
        usable = _usable(parameter, value, warnings)
        if usable is not None:
            found[name] = usable
    return found


def _usable(parameter: KnownParameter, value: str, warnings: list[str]) -> str | None:
    if parameter.kind == "BOOLEAN":
        if units.boolean(value) is None:
            warnings.append(f"{parameter.name}: found {value!r}, want on or off, ignored")
            return None
        return value
    if parameter.kind not in {"INTEGER", "REAL"}:
        return value
    number = units.number(value, None)
    if number is None:  # with a unit, which only the server can judge
        return value
    limited = max(number, parameter.minimum if parameter.minimum is not None else number)
    limited = min(limited, parameter.maximum if parameter.maximum is not None else limited)
    if limited == number:
        return value
    text = str(int(limited)) if limited == int(limited) else repr(limited)
    warnings.append(f"{parameter.name}: found {value}, want {parameter.minimum:g} to {parameter.maximum:g}, {text} is used")
    return text
