"""The whole local file: its sections, the keys at its top, and which plugins it names."""

from collections.abc import Callable
from typing import Any, Final

from marshmallow import Schema, fields

from hacore import convert
from hacore.config.keys import mapping
from hacore.config.schemas.bootstrap import BootstrapSchema
from hacore.config.schemas.guard import GuardSchema, WatchdogSchema
from hacore.config.schemas.log import LogSchema
from hacore.config.schemas.postgresql import PostgresqlSchema
from hacore.config.schemas.restapi import CtlSchema, RestApiSchema
from hacore.config.schemas.tags import TagsSchema
from hacore.convert import WrongValueError
from hacore.schema import Converted, SectionSchema

# More characters than these would have to be escaped in keys of stores, file names or slot names.
_NAME_WANTED: Final = "a name without slashes, blanks and control characters"


def _name(value: object) -> str:
    found = convert.word(value)
    if "/" in found or found in {".", ".."} or not all(mark.isprintable() and not mark.isspace() for mark in found):
        raise WrongValueError(_NAME_WANTED)
    return found


def _namespace(value: object) -> str:
    parts = [part for part in convert.word(value).split("/") if part]
    return "/" + "/".join(_name(part) for part in parts)


def _default(schema: type[Schema]) -> Callable[[], Any]:
    return lambda: schema().load({})


class BackupSchema(SectionSchema):
    """Section ``backup``: what differs between nodes. Schedule and retention are the cluster's: ``hacore.backup``."""

    plugin = Converted(convert.word, required=True)
    scratch_dir = Converted(convert.word, load_default=None)


class CitusSchema(SectionSchema):
    """Section ``citus``."""

    group = Converted(convert.whole(0), required=True)
    database = Converted(convert.word, required=True)


class LocalSchema(SectionSchema):
    """Everything but the section of the store, whose name is that of a plugin."""

    name = Converted(_name, required=True)
    scope = Converted(_name, required=True)
    namespace = Converted(_namespace, load_default="/service")
    thread_pool_size = Converted(convert.whole(1), load_default=5)
    thread_stack_size = Converted(convert.whole(65536), load_default=524288)
    restapi = fields.Nested(RestApiSchema, required=True)
    log = fields.Nested(LogSchema, load_default=_default(LogSchema))
    ctl = fields.Nested(CtlSchema, load_default=_default(CtlSchema))
    tags = fields.Nested(TagsSchema, load_default=_default(TagsSchema))
    watchdog = fields.Nested(WatchdogSchema, load_default=_default(WatchdogSchema))
    postgresql = fields.Nested(PostgresqlSchema, required=True)
    bootstrap = fields.Nested(BootstrapSchema, load_default=None)
    guard = fields.Nested(GuardSchema, load_default=_default(GuardSchema))
    citus = fields.Nested(CitusSchema, load_default=None)
    plugins = Converted(convert.mapped(mapping, "a mapping of plugin names to their sections"), load_default=dict)
    archive = Converted(convert.word, load_default=None)
    backup = fields.Nested(BackupSchema, load_default=None)
    routers = Converted(convert.words_or_text, load_default=())
    listeners = Converted(convert.words_or_text, load_default=())
