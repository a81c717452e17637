"""Local settings over the dynamic configuration: what is in force (interface reference 1.1.4 and 2).

The dynamic configuration is untrusted and may change at any moment: nothing in it raises. What is wrong falls back to its default, what
does not work yet is ignored, and both are said. Whether a whole new configuration is accepted is decided before, in ``dynamic``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from hacore.backup.policy import BackupPolicy
from hacore.config import controlled, timing
from hacore.config.backups import read_backup
from hacore.config.dynamic import unknown
from hacore.config.fault import dotted
from hacore.config.features import refusal_of_election, unsupported
from hacore.config.keys import Dynamic, Reading
from hacore.config.postgres_settings import PostgresSettings, ReplicaMethod
from hacore.config.postgresql_keys import BASEBACKUP, DYNAMIC_ONLY, LOCAL_ONLY, NAMES_OF, SHARED_NAMES, Shared, parameters, replica_method
from hacore.config.settings import LocalSettings
from hacore.convert import WrongValueError
from hacore.model.policy import Policy

# They say where WAL comes from: in ``parameters`` they would be overruled by the recovery settings written after them.
_RECOVERY: Final = frozenset({"restore_command", "archive_cleanup_command", "recovery_end_command", "recovery_min_apply_delay"})
_OWN_RECOVERY: Final = frozenset({"primary_conninfo", "primary_slot_name", "standby_mode"})
_TARGET: Final = "recovery_target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """What is in force on this node, and what there is to say about it."""

    policy: Policy
    postgres: PostgresSettings
    backup: BackupPolicy = field(default_factory=BackupPolicy)
    warnings: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()


def effective(local: LocalSettings, dynamic: Mapping[str, Any] | None) -> Effective:
    """Lay the local settings over the dynamic ones; ``None`` and ``{}`` both mean that there are none yet."""
    warnings: list[str] = []
    reading = Reading(dynamic or {})
    section = reading.take(Dynamic.POSTGRESQL)
    merged, combined = _merge(local.postgresql.values, section, warnings)
    postgresql = Reading(merged, path=("postgresql",), wrong=reading.wrong, raised=reading.raised)
    policy = _policy(local, reading, postgresql, warnings)
    postgres = _postgres(local, postgresql, combined, warnings)
    backup = read_backup(reading.take(Dynamic.HACORE), reading, scope=local.scope)
    warnings.extend(str(fault) for fault in unknown(reading.values))
    warnings.extend(reading.raised)
    warnings.extend(f"{dotted(path)}: not {wanted}: the default is used" for path, wanted in reading.wrong.items())
    return Effective(policy=policy, postgres=postgres, backup=backup, warnings=tuple(warnings), unsupported=policy.unsupported)


@dataclass(frozen=True, slots=True)
class _Parameters:
    dynamic: Mapping[str, str | None]
    merged: Mapping[str, str | None]


def _merge(local: Mapping[str, Any], dynamic: Mapping[str, Any], warnings: list[str]) -> tuple[dict[str, Any], _Parameters]:
    """Lay the section of the file over the dynamic one: key by key for ``parameters``, wholesale for everything else."""
    ignored = sorted(LOCAL_ONLY & dynamic.keys())
    warnings.extend(f"postgresql.{name}: counts only in the local file, ignored in the dynamic configuration" for name in ignored)
    merged = {name: value for name, value in dynamic.items() if name not in LOCAL_ONLY}
    for name, value in local.items():
        if name not in DYNAMIC_ONLY and value is not None:
            # Whichever name the file uses, it replaces the key under all its names.
            for other in NAMES_OF.get(name, ()):
                merged.pop(other, None)
            merged[name] = value
    remote = readable_parameters(dynamic.get("parameters"), warnings)
    own = readable_parameters(local.get("parameters"), warnings)
    dropped = sorted(own.keys() & controlled.NAMES)
    warnings.extend(f"postgresql.parameters.{name}: must be the same on every member, ignored in the local file" for name in dropped)
    both = remote | {name: value for name, value in own.items() if name not in controlled.NAMES}
    return merged, _Parameters(remote, both)


def readable_parameters(value: object, warnings: list[str]) -> dict[str, str | None]:
    """Read what can be read of the server settings: one wrong value must not take all others away."""
    if value is None:
        return {}
    try:
        return parameters(value)
    except WrongValueError as error:
        place = ("postgresql", "parameters")
        warnings.extend(f"{dotted((*place, *path))}: not {wanted}: ignored" for path, wanted in error.parts.items())
        if not isinstance(value, Mapping):
            return {}
        wrong = {path[0] for path in error.parts if path}
        return parameters({name: one for name, one in value.items() if str(name) not in wrong})


def _policy(local: LocalSettings, reading: Reading, postgresql: Reading, warnings: list[str]) -> Policy:
    times = timing.read_times(reading, warnings)
    own_section = reading.take(Dynamic.HACORE)
    own_times = timing.read_own_times(own_section, reading, warnings)
    drain_timeout_s, drain_aborts = timing.read_draining(own_section, reading)
    sets = (times,) if own_times is None else (times, own_times)
    margin_s, budget_s, said = timing.guard_times(local.guard.margin_s, local.guard.budget_s, sets)
    warnings.extend(said)
    return Policy(
        times=times,
        own_times=own_times,
        margin_s=margin_s,
        budget_s=budget_s,
        maximum_lag_on_failover=reading.take(Dynamic.MAXIMUM_LAG_ON_FAILOVER),
        check_timeline=reading.take(Dynamic.CHECK_TIMELINE),
        primary_start_timeout_s=reading.take(Dynamic.PRIMARY_START_TIMEOUT),
        primary_stop_timeout_s=reading.take(Dynamic.PRIMARY_STOP_TIMEOUT),
        member_slots_ttl_s=reading.take(Dynamic.MEMBER_SLOTS_TTL),
        max_timelines_history=reading.take(Dynamic.MAX_TIMELINES_HISTORY),
        drain_timeout_s=drain_timeout_s,
        drain_aborts=drain_aborts,
        pause=reading.take(Dynamic.PAUSE),
        use_slots=postgresql.take(Shared.USE_SLOTS),
        use_pg_rewind=postgresql.take(Shared.USE_PG_REWIND),
        remove_data_directory_on_rewind_failure=postgresql.take(Shared.REMOVE_ON_REWIND_FAILURE),
        remove_data_directory_on_diverged_timelines=postgresql.take(Shared.REMOVE_ON_DIVERGED_TIMELINES),
        refuses_election=refusal_of_election(reading),
        unsupported=unsupported(reading),
    )


def _postgres(local: LocalSettings, reading: Reading, combined: _Parameters, warnings: list[str]) -> PostgresSettings:
    section = local.postgresql
    wanted = {name: value for name, value in combined.merged.items() if value is not None and name not in controlled.NAMES}
    recovery = {name: wanted.pop(name) for name in sorted(_RECOVERY & wanted.keys())}
    recovery |= reading.take(Shared.RECOVERY_CONF)
    settings = PostgresSettings(
        name=local.name,
        scope=local.scope,
        listen_addresses=section.listen_addresses,
        port=section.port,
        connect_address=section.connect_address,
        proxy_address=section.proxy_address,
        data_dir=section.data_dir,
        config_dir=section.config_dir,
        config_base_name=reading.take(Shared.CONFIG_BASE_NAME),
        bin_dir=reading.take(Shared.BIN_DIR),
        bin_name=reading.take(Shared.BIN_NAME),
        database=reading.take(Shared.DATABASE),
        pgpass=section.pgpass,
        krbsrvname=reading.take(Shared.KRBSRVNAME),
        authentication=section.authentication,
        callbacks=reading.take(Shared.CALLBACKS),
        create_replica_methods=reading.take(Shared.CREATE_REPLICA_METHODS),
        methods=_methods(reading),
        basebackup=reading.take(Shared.BASEBACKUP),
        recovery_conf=_without_own(recovery, "postgresql.recovery_conf", warnings),
        custom_conf=reading.take(Shared.CUSTOM_CONF),
        parameters=_without_own(wanted, "postgresql.parameters", warnings),
        controlled_parameters=_controlled(local, combined.dynamic, warnings),
        pg_hba=reading.take(Shared.PG_HBA),
        pg_ident=reading.take(Shared.PG_IDENT),
        use_unix_socket=reading.take(Shared.USE_UNIX_SOCKET),
        pg_ctl_timeout_s=reading.take(Shared.PG_CTL_TIMEOUT),
        pre_promote=reading.take(Shared.PRE_PROMOTE),
        before_stop=reading.take(Shared.BEFORE_STOP),
    )
    return _without_unused_files(settings)


def _controlled(local: LocalSettings, dynamic: Mapping[str, str | None], warnings: list[str]) -> dict[str, str]:
    derived = {
        "listen_addresses": ",".join(local.postgresql.listen_addresses),
        "port": str(local.postgresql.port),
        "cluster_name": local.scope,
    }
    return controlled.controlled_parameters(dynamic, warnings) | derived


def _methods(reading: Reading) -> dict[str, ReplicaMethod]:
    """Read the sections of the methods that are named; one that has none is a plugin's, or pg_basebackup."""
    found = {}
    for name in reading.take(Shared.CREATE_REPLICA_METHODS):
        section = reading.values.get(name)
        if name == BASEBACKUP or name in SHARED_NAMES or section is None:
            continue
        try:
            found[name] = replica_method(name, section)
        except WrongValueError as error:
            reading.wrong |= {(*reading.path, name, *part): wanted for part, wanted in error.parts.items()}
    return found


def _without_own(settings: Mapping[str, str], place: str, warnings: list[str]) -> dict[str, str]:
    """Leave out what only hacore sets: where a standby streams from, and where recovery ends."""
    own = sorted(name for name in settings if name in _OWN_RECOVERY or name.startswith(_TARGET))
    warnings.extend(f"{place}.{name}: set by hacore, ignored" for name in own)
    return {name: value for name, value in settings.items() if name not in own}


def _without_unused_files(settings: PostgresSettings) -> PostgresSettings:
    """Leave the two files alone that the server is told to read elsewhere."""
    hba, ident = ("hba_file" in settings.parameters, "ident_file" in settings.parameters)
    return replace(settings, pg_hba=None if hba else settings.pg_hba, pg_ident=None if ident else settings.pg_ident)
