"""Section ``log``."""

import logging
import re
from collections.abc import Mapping
from typing import Any, Final

from marshmallow import ValidationError, post_load, validates_schema

from hacore import convert
from hacore.config.settings import LogSettings
from hacore.convert import WrongValueError
from hacore.schema import Converted, SectionSchema

_PLAIN_FORMAT: Final = "%(asctime)s %(levelname)s: %(message)s"
_FIELD: Final = re.compile(r"%\((\w+)\)[-+ #0]*\d*(?:\.\d+)?[a-zA-Z]")
_NAME: Final = re.compile(r"%\(([^)]*)\)")
_LEVEL: Final = convert.choice("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", synonyms={"warn": "WARNING", "fatal": "CRITICAL"})
_MODE: Final = re.compile(r"(?:0o?)?[0-7]{3,4}")
_FORMAT: Final = "a format like %(asctime)s %(levelname)s: %(message)s, or for type json a list of field names"


def _mode(value: object) -> int:
    digits = convert.text(value)
    if not _MODE.fullmatch(digits):
        raise WrongValueError("permissions in octal digits, like 0644")
    return int(digits.removeprefix("0o").removeprefix("0O"), 8)


def _format(value: object) -> str | tuple[tuple[str, str], ...]:
    if isinstance(value, str):
        if not value.strip() or ("%(" in value and not _can_be_filled(value)):
            raise WrongValueError(_FORMAT)
        return value
    return convert.listed(_field, _FORMAT)(value)


def _can_be_filled(text: str) -> bool:
    """Try a format on a record; a field that is not the library's own comes with ``extra``, as text."""
    fields = vars(logging.makeLogRecord({})) | {"asctime": "", "message": ""}
    try:
        text % {name: fields.get(name, "") for name in _NAME.findall(text)}
    except (TypeError, ValueError, KeyError):
        return False
    return _FIELD.search(text) is not None


def _field(item: object) -> tuple[str, str]:
    if isinstance(item, Mapping):
        if len(item) != 1:
            raise WrongValueError("a field name, or one `field: name to write`")
        ((name, renamed),) = item.items()
        return convert.word(name), convert.word(renamed)
    name = convert.word(item)
    return name, name


def json_fields(found: str | tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return the fields of a JSON line: those that are listed, or those that a plain format names."""
    if not isinstance(found, str):
        return found
    names = _FIELD.findall(found) or [part.strip() for part in found.split(",")]
    return tuple((name, name) for name in names)


class LogSchema(SectionSchema):
    """Section ``log``."""

    type = Converted(convert.choice("plain", "json"), load_default="plain")
    level = Converted(_LEVEL, load_default="INFO")
    traceback_level = Converted(_LEVEL, load_default="ERROR")
    format = Converted(_format, load_default=_PLAIN_FORMAT)
    dateformat = Converted(convert.word, load_default=None)
    static_fields = Converted(convert.mapped(lambda value: value), load_default=dict)
    max_queue_size = Converted(convert.whole(1, 1_000_000), load_default=1000)
    dir = Converted(convert.word, load_default=None)
    mode = Converted(_mode, load_default=None)
    file_num = Converted(convert.whole(0, 10_000), load_default=4)
    file_size = Converted(convert.size_bytes, load_default=25_000_000)
    loggers = Converted(convert.mapped(_LEVEL, "a mapping of logger names to levels"), load_default=dict)
    deduplicate_heartbeat_logs = Converted(convert.flag, load_default=False)

    @validates_schema
    def check_together(self, data: Mapping[str, Any], **_: object) -> None:
        """Find what is wrong only in combination."""
        if data["type"] == "plain" and not (isinstance(data["format"], str) and "%(" in data["format"]):
            raise ValidationError("text with %(...)s in it: a list of fields is for type json", "format")

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> LogSettings:
        """Return the section as a frozen value."""
        if data["type"] == "json":
            data["format"] = json_fields(data["format"])
        return LogSettings(**data)
