"""The dynamic configuration as a schema: for ``bootstrap.dcs``, and for a configuration that somebody is about to write."""

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import EXCLUDE, fields

from hacore.config.backups import BACKUP_KEYS, RETENTION_KEYS, OwnBackup
from hacore.config.keys import DYNAMIC_KEYS, OWN_KEYS, Dynamic, Key, Own
from hacore.config.postgresql_keys import LOCAL_ONLY, SHARED_KEYS, method_names
from hacore.schema import Converted, SectionSchema


def _fields(keys: tuple[Key[Any], ...]) -> dict[str, fields.Field[Any]]:
    return {name: Converted(key.convert, load_default=key.default) for key in keys for name in key.names}


class DynamicPostgresqlSchema(SectionSchema):
    """Section ``postgresql`` of the dynamic configuration."""

    class Meta:
        """The keys come from their table."""

        unknown = EXCLUDE
        include = _fields(SHARED_KEYS)

    def welcomes(self, key: str, section: Mapping[str, Any]) -> bool:
        """Keys of the local file alone are ignored, and that is said elsewhere."""
        return key in LOCAL_ONLY or key in method_names(section)


class OwnRetentionSchema(SectionSchema):
    """Section ``hacore.backup.retention`` of the dynamic configuration."""

    class Meta:
        """The keys come from their table."""

        unknown = EXCLUDE
        include = _fields(RETENTION_KEYS)


class OwnBackupSchema(SectionSchema):
    """Section ``hacore.backup`` of the dynamic configuration."""

    class Meta:
        """The keys come from their table."""

        unknown = EXCLUDE
        include = _fields(BACKUP_KEYS) | {OwnBackup.RETENTION.name: fields.Nested(OwnRetentionSchema)}


class OwnTimesSchema(SectionSchema):
    """Section ``hacore`` of the dynamic configuration."""

    class Meta:
        """The keys come from their table."""

        unknown = EXCLUDE
        include = _fields(OWN_KEYS) | {Own.BACKUP.name: fields.Nested(OwnBackupSchema)}


_NESTED: Final = {
    Dynamic.POSTGRESQL.name: fields.Nested(DynamicPostgresqlSchema),
    Dynamic.HACORE.name: fields.Nested(OwnTimesSchema),
}


class DynamicSchema(SectionSchema):
    """Every key of the dynamic configuration."""

    class Meta:
        """The keys come from their table."""

        unknown = EXCLUDE
        include = _fields(DYNAMIC_KEYS) | _NESTED
