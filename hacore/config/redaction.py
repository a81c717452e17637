"""What must never be shown of a configuration: passwords, tokens, keys. It knows them by their key's name and by what schemas mark."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from hacore.config.fault import Path

HIDDEN: Final = "********"
_SECRET_KEY: Final = re.compile(
    r"pass(word|wd|phrase)|secret|(^|_)token($|_)|credential|private_key|api_?key|access_key|auth_data|sslpassword", re.IGNORECASE
)
# A connection string or a command line inside a value.
_INSIDE: Final = re.compile(
    r"(?i)(\b\w*(?:password|passwd|passphrase|secret)\w*\s*[=:]\s*|\b\w*token\w*\s*[=:]\s*(?!\d+\b))"
    r"('(?:[^'\\]|\\.)*'|\"[^\"]*\"|[^\s'\"]+)|(://[^/\s:@]*:)([^@\s/]+)(?=@)"
)
# A fencing token is a number, and no secret.
_NUMBERED: Final = re.compile(r"(^|_)token$", re.IGNORECASE)
_LONGEST: Final = 60


def is_secret(path: Path, marked: Collection[Path] = ()) -> bool:
    """Tell whether a value stands under a key that holds secrets."""
    names = tuple(part for part in path if isinstance(part, str))
    return any(_SECRET_KEY.search(name) for name in names) or any(names[: len(one)] == one for one in marked)


def redact(value: Any, path: Path = (), marked: Collection[Path] = ()) -> Any:  # noqa: ANN401 - plain values in, plain values out
    """Return a copy of a plain value that may be shown."""
    if value is not None and not isinstance(value, Mapping) and is_secret(path, marked):
        is_number = isinstance(value, int) and isinstance(path[-1], str) and _NUMBERED.search(path[-1])
        return value if is_number and path not in marked else HIDDEN
    if isinstance(value, Mapping):
        return {key: redact(one, (*path, str(key)), marked) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [redact(one, path, marked) for one in value]
    return redact_text(value) if isinstance(value, str) else value


def redact_text(text: str) -> str:
    """Hide passwords that stand inside a connection string, a URL or a command line."""
    return _INSIDE.sub(lambda match: f"{match[1] or match[3]}{HIDDEN}", text)


def shown(value: object, path: Path, marked: Collection[Path] = ()) -> str:
    """Return a wrong value as a fault may show it: short, and without secrets."""
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if value is None:
        return "nothing"
    if is_secret(path, marked):
        return HIDDEN
    text = redact_text(value) if isinstance(value, str) else str(value)
    return repr(text if len(text) <= _LONGEST else text[:_LONGEST] + "...") if isinstance(value, str) else text[:_LONGEST]
