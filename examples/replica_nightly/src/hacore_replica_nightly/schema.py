"""The schema of the section. Imported only where a configuration is read: the agent does without its library."""

from pathlib import Path
from typing import Any

from marshmallow import ValidationError, post_load, validates

from hacore import convert
from hacore.schema import Converted, SectionSchema
from hacore_replica_nightly.plugin import NightlySettings


class NightlySchema(SectionSchema):
    """``plugins: {nightly: {path: /srv/nightly}}``."""

    path = Converted(convert.word, required=True, metadata={"description": "directory with base.tar and pg_wal.tar"})

    @validates("path")
    def is_absolute(self, value: str, **_: object) -> None:
        """Refuse a path that would be another one for another process."""
        if not Path(value).is_absolute():
            raise ValidationError("an absolute path")

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> NightlySettings:
        """Return what the plugin is built with."""
        return NightlySettings(path=Path(data["path"]))
