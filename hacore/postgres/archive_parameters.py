"""What the server's configuration says where an archive plugin is in charge (integrations reference 1.1). Pure: values in, values out.

Mode and command are set together: with the mode alone every segment would wait for ever and fill the disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hacore.config.postgres_settings import PostgresSettings
from hacore.postgres.programs import KnownParameter

MODE: Final = "archive_mode"
COMMAND: Final = "archive_command"
LIBRARY: Final = "archive_library"  # PostgreSQL 15; 16 refuses it beside a command
TIMEOUT: Final = "archive_timeout"
RESTORE: Final = "restore_command"
RETRY_INTERVAL: Final = "wal_retrieve_retry_interval"

_TIMEOUT: Final = "300s"  # bounds what a recovery from the archive alone may lack
_RETRY: Final = "1s"  # a try starts a tool; PostgreSQL's five seconds are what a standby waits before it connects to the next primary
_OVERRULED: Final = (MODE, COMMAND, LIBRARY, RESTORE)
_OURS: Final = frozenset({*_OVERRULED, "primary_conninfo", "primary_slot_name", "wal_level", "hot_standby", "listen_addresses", "port"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveWanted:
    """What the archive wants of the server. ``restore_command``: ``None`` while its plugin has never said how to fetch."""

    archive_command: str
    restore_command: str | None
    library: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePart:
    """Settings that stand above those of a person, and what is to be said of it."""

    normal: Mapping[str, str] = field(default_factory=dict)
    recovery: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def archive_part(
    settings: PostgresSettings, wanted: ArchiveWanted, *, base: Mapping[str, str], known: Mapping[str, KnownParameter]
) -> ArchivePart:
    """Lay out the settings.

    :param base: what stands in a person's own configuration file.
    """
    has_libraries = LIBRARY in known
    library = wanted.library if has_libraries else None
    set_by_person = {**base, **settings.recovery_conf, **settings.parameters, **settings.controlled_parameters}
    refused = [name for name, _ in wanted.parameters if name.lower() in _OURS]
    normal = {name.lower(): value for name, value in ((TIMEOUT, _TIMEOUT), *wanted.parameters) if name.lower() not in _OURS}
    normal = {name: value for name, value in normal.items() if name not in set_by_person}
    normal |= {MODE: "on", COMMAND: "" if library else wanted.archive_command}
    normal |= {LIBRARY: library or ""} if has_libraries else {}
    recovery = {} if wanted.restore_command is None else {RESTORE: wanted.restore_command}
    if recovery and RETRY_INTERVAL not in set_by_person:
        recovery[RETRY_INTERVAL] = _RETRY
    warnings = [f"{name}: the archive's plugin wants to set it, which is not its affair: ignored" for name in refused]
    return ArchivePart(normal=normal, recovery=recovery, warnings=(*overruled(settings, base), *warnings))


def overruled(settings: PostgresSettings, base: Mapping[str, str]) -> tuple[str, ...]:
    """Say which settings of a person's own an archive plugin takes the place of."""
    places = (
        ("postgresql.parameters", settings.parameters),
        ("postgresql.recovery_conf", settings.recovery_conf),
        ("the server's own configuration file", base),
    )
    found = [(where, name, values[name]) for where, values in places for name in _OVERRULED if values.get(name)]
    agreed = {(MODE, "on"), (COMMAND, "(disabled)")}
    return tuple(
        f"{name}: set to {value!r} in {where}, but the plugin of `archive` is in charge of it: not used"
        for where, name, value in found
        if (name, value.lower()) not in agreed
    )
