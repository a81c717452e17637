"""The schema of the section ``postgres_table``. Imported only where a configuration is read: the agent does without its library."""

from typing import Any

from marshmallow import post_load

from hacore import convert
from hacore.schema import Converted, Secret, SectionSchema
from hacore_dcs_pgtable.settings import TableSettings


class TableSchema(SectionSchema):
    """``postgres_table: {host: 10.0.0.9, password: ...}``."""

    host = Converted(convert.word, required=True)
    port = Converted(convert.whole(1, 65535), load_default=TableSettings.port)
    database = Converted(convert.word, load_default=TableSettings.database)
    username = Converted(convert.word, load_default=TableSettings.username)
    password = Secret(load_default=None)
    cacert = Converted(convert.word, load_default=None)

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> TableSettings:
        """Turn what was read into settings."""
        return TableSettings(**data)
