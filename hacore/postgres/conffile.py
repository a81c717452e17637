"""The syntax of PostgreSQL's configuration files. Pure: text in, text out."""

import re
from collections.abc import Collection, Mapping
from typing import Final

_SETTING: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_$.]*)\s*(?:=|\s)\s*(.*)")
_QUOTED: Final = re.compile(r"'((?:[^'\\]|\\.|'')*)'")
_ESCAPES: Final[Mapping[str, str]] = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def quoted(value: str) -> str:
    """Write a value in quotes: they, backslashes and line ends escaped."""
    escaped = value.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"


def setting_line(name: str, value: str) -> str:
    """Write one setting."""
    return f"{name} = {quoted(value)}\n"


def parse_settings(text: str) -> dict[str, str]:
    """Read the settings of a file; the last of a name counts. Directives like ``include`` come out as if they were settings."""
    found = {}
    for line in text.splitlines():
        match = _SETTING.fullmatch(line)
        if match is not None:
            found[match[1].lower()] = _value(match[2])
    return found


def without(text: str, names: Collection[str]) -> tuple[str, tuple[str, ...]]:
    """Return the text without the lines that set one of ``names``, and the names that were found."""
    kept, dropped = [], []
    for line in text.splitlines(keepends=True):
        match = _SETTING.fullmatch(line.rstrip("\r\n"))
        if match is not None and match[1].lower() in names:
            dropped.append(match[1].lower())
        else:
            kept.append(line)
    return "".join(kept), tuple(dropped)


def _value(rest: str) -> str:
    match = _QUOTED.match(rest)
    if match is None:
        return rest.partition("#")[0].strip()
    return re.sub(r"''|\\(.)", lambda found: _ESCAPES.get(found[1], found[1]) if found[1] else "'", match[1])
