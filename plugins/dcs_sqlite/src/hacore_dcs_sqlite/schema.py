"""The schema of the section ``sqlite``. Imported only where a configuration is read: the agent does without its library."""

from pathlib import Path
from typing import Any

from marshmallow import ValidationError, post_load, validates

from hacore import convert
from hacore.schema import Converted, SectionSchema
from hacore_dcs_sqlite.settings import SqliteSettings


class SqliteSchema(SectionSchema):
    """``sqlite: {path: /var/lib/hacore/store.db}``."""

    path = Converted(convert.word, required=True, metadata={"description": "file shared by the agents of this machine"})

    @validates("path")
    def is_absolute(self, value: str, **_: object) -> None:
        """Refuse a path that would name another file for another agent."""
        if not Path(value).is_absolute():
            raise ValidationError("an absolute path, so that all agents of the machine share one file")

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> SqliteSettings:
        """Return the settings that the plugin is built with."""
        return SqliteSettings(path=Path(data["path"]))
