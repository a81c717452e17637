"""The dynamic section ``hacore.backup``: one schedule and one retention for the whole cluster, whoever leads."""

from collections.abc import Mapping
from typing import Any, Final

from hacore import convert
from hacore.backup.policy import BackupPolicy, Prefer
from hacore.backup.retention import Retention
from hacore.backup.schedule import Schedule, cron, zone
from hacore.config.keys import Key, Own, Reading, keys_of, mapping
from hacore.interfaces import BackupKind


def _age(value: object) -> float:
    """Accept a time with its unit: a bare 14 is meant to be days, and as seconds would let backups go at once.

    :raises WrongValueError: it is none.
    """
    found = convert.seconds(value)
    if found and str(value).strip().replace(".", "", 1).isdigit():
        raise convert.WrongValueError("a time with its unit, like 14d (s, min, h, d)")
    return found


class OwnBackup:
    """Keys of the own dynamic section ``hacore.backup``."""

    SCHEDULE = Key[str | None]("schedule", cron, None)
    TIMEZONE = Key("timezone", zone, "UTC")
    JITTER = Key("jitter", convert.seconds, 0.0, 0)
    KIND = Key("kind", convert.choice(*BackupKind), str(BackupKind.AUTO))
    PREFER = Key("prefer", convert.choice(*Prefer), str(Prefer.STANDBY))
    MAX_DURATION = Key("max_duration", convert.seconds, 86400.0, 1)
    RETENTION = Key[dict[str, Any]]("retention", mapping, {})
    VERIFY = Key[str | None]("verify", cron, None)


class OwnRetention:
    """Keys of the own dynamic section ``hacore.backup.retention``."""

    MIN_COUNT = Key("min_count", convert.whole(1), 2)
    MIN_AGE = Key("min_age", _age, 0.0, 0)
    MAX_AGE = Key("max_age", _age, 0.0, 0)


BACKUP_KEYS: Final = keys_of(OwnBackup)
RETENTION_KEYS: Final = keys_of(OwnRetention)


def read_backup(own: Mapping[str, Any], reading: Reading, *, scope: str = "") -> BackupPolicy:
    """Read ``backup`` of the section ``hacore``; what is wrong is noted in ``reading``, and the default taken."""
    outer = Reading(own, path=("hacore",), wrong=reading.wrong, raised=reading.raised)
    section = Reading(outer.take(Own.BACKUP), path=("hacore", "backup"), wrong=reading.wrong, raised=reading.raised)
    timezone, jitter_s = section.take(OwnBackup.TIMEZONE), section.take(OwnBackup.JITTER)
    backup, verify = section.take(OwnBackup.SCHEDULE), section.take(OwnBackup.VERIFY)
    return BackupPolicy(
        schedule=None if backup is None else Schedule(expression=backup, timezone=timezone, jitter_s=jitter_s, salt=scope),
        verify=None if verify is None else Schedule(expression=verify, timezone=timezone, jitter_s=jitter_s, salt=f"{scope} verify"),
        kind=BackupKind(section.take(OwnBackup.KIND)),
        prefer=Prefer(section.take(OwnBackup.PREFER)),
        max_duration_s=section.take(OwnBackup.MAX_DURATION),
        retention=_retention(section, reading),
    )


def unknown_keys(own: Mapping[str, Any]) -> list[tuple[tuple[str, ...], frozenset[str]]]:
    """Return the keys of the section that nobody here knows, and those of the same mapping that somebody does."""
    section = own.get(Own.BACKUP.name)
    if not isinstance(section, Mapping):
        return []
    known, inner = frozenset(key.name for key in BACKUP_KEYS), frozenset(key.name for key in RETENTION_KEYS)
    retention = section.get(OwnBackup.RETENTION.name)
    found = [(("hacore", "backup", str(name)), known) for name in section if name not in known]
    below = retention if isinstance(retention, Mapping) else {}
    return found + [(("hacore", "backup", "retention", str(name)), inner) for name in below if name not in inner]


def _retention(section: Reading, reading: Reading) -> Retention | None:
    """Nothing expires by itself unless somebody has said what may; a value that cannot be read counts as "nobody has"."""
    if section.values.get(OwnBackup.RETENTION.name) is None:
        return None
    place = ("hacore", "backup", "retention")
    found = Reading(section.take(OwnBackup.RETENTION), path=place, wrong=reading.wrong, raised=reading.raised)
    retention = Retention(
        min_count=found.take(OwnRetention.MIN_COUNT), min_age_s=found.take(OwnRetention.MIN_AGE), max_age_s=found.take(OwnRetention.MAX_AGE)
    )
    return None if any(path[: len(place)] == place for path in reading.wrong) else retention
