"""How one record becomes one line: plain or JSON, with the facts that came by ``extra``, and never with a secret."""

import json
import logging
from collections.abc import Mapping
from typing import Any, Final

from hacore.config.redaction import redact, redact_text
from hacore.config.settings import LogSettings
from hacore.logs.heartbeat import MARK

PLAIN: Final = "%(asctime)s %(levelname)s: %(message)s"
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", MARK}
_BARE: Final = frozenset("\"'= \t\r\n")


class _Fields(dict[str, Any]):
    """The fields of a record; a format may name one that this record has not."""

    def __missing__(self, key: str) -> str:
        return ""


class PlainFormatter(logging.Formatter):
    """One line of text: the message is followed by its facts, ``key=value``."""

    def __init__(self, fmt: str, datefmt: str | None, *, with_traceback: bool) -> None:
        super().__init__(fmt, datefmt, validate=False)
        self._fmt_text = fmt
        self._with_traceback = with_traceback

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """Fill the format."""
        fields = _Fields(vars(record))
        fields["message"] = " ".join([record.getMessage(), *(f"{key}={_word(value)}" for key, value in facts(record).items())])
        try:
            return self._fmt_text % fields
        except (TypeError, ValueError):  # the format wants a number where this record has none
            return PLAIN % fields

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback below it where tracebacks are wanted."""
        record.asctime = self.formatTime(record, self.datefmt)
        return redact_text(self.formatMessage(record) + _traceback_below(self, record, wanted=self._with_traceback))


class JsonFormatter(logging.Formatter):
    """One JSON object: the fields that are configured, the facts, and the constant fields."""

    def __init__(
        self, fields: tuple[tuple[str, str], ...], static: Mapping[str, object], datefmt: str | None, *, with_traceback: bool
    ) -> None:  # fmt: skip
        super().__init__(None, datefmt)
        self._fields = fields
        self._static = dict(static)
        self._with_traceback = with_traceback

    def format(self, record: logging.LogRecord) -> str:
        """Return the object on one line."""
        known = {**vars(record), "message": record.getMessage(), "asctime": self.formatTime(record, self.datefmt)}
        line: dict[str, Any] = {**self._static}
        line |= {renamed: known.get(name) for name, renamed in self._fields}
        line |= facts(record)
        if traceback := _traceback_below(self, record, wanted=self._with_traceback):
            line["exc_info"] = traceback.lstrip("\n")
        return json.dumps(redact(line), default=str, ensure_ascii=False)


def facts(record: logging.LogRecord) -> dict[str, Any]:
    """Return what came by ``extra``."""
    found: dict[str, Any] = redact({key: value for key, value in vars(record).items() if key not in _STANDARD})
    return found


def formatter(settings: LogSettings) -> logging.Formatter:
    """Return the formatter that the settings ask for."""
    levels = logging.getLevelNamesMapping()
    # Set to DEBUG, tracebacks appear only in a log of that level.
    with_traceback = levels[settings.traceback_level] >= levels[settings.level]
    if settings.type == "json" and not isinstance(settings.format, str):
        return JsonFormatter(settings.format, settings.static_fields, settings.dateformat, with_traceback=with_traceback)
    plain = settings.format if isinstance(settings.format, str) else PLAIN
    return PlainFormatter(plain, settings.dateformat, with_traceback=with_traceback)


def _traceback_below(formatter: logging.Formatter, record: logging.LogRecord, *, wanted: bool) -> str:
    if not wanted:
        # Without its traceback an exception must still say what it was.
        error = record.exc_info[1] if record.exc_info else None
        return f" ({type(error).__name__}: {error})" if error is not None else ""
    parts = []
    if record.exc_info and record.exc_info[1] is not None:
        parts.append(formatter.formatException(record.exc_info))
    elif record.exc_text:
        parts.append(record.exc_text)
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "".join(f"\n{part}" for part in parts)


def _word(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or not _BARE.isdisjoint(text) else text
