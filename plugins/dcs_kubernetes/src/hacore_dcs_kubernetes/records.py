"""How records stand in the annotations of objects: the field's layout, and the texts byte for byte. Pure: values in, values out.

Most records are one annotation. The parts of three stand apart; where a text has more in it than those parts say (fields that nobody here
knows, other spaces), the text itself stands beside them, and counts for as long as the parts are still its own.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

LEADER: Final = "leader"  # homes: the objects of a cluster, by the end of their names
CONFIG: Final = "config"
FAILOVER: Final = "failover"
SYNC: Final = "sync"
OTHER: Final = "hacore"  # whatever the field has no object for
HOMES: Final = (LEADER, CONFIG, FAILOVER, SYNC, OTHER)
STAMP: Final = "hacore-lock"  # instance of the lock under which an object was last written, or claimed for writing
WRITE: Final = "hacore-write"  # a new word with each write: tells whether a write whose answer was lost has happened
TEXT: Final = "hacore-text"

_HOME: Final[Mapping[str, str]] = {
    "hacore": LEADER,
    "status": LEADER,
    "failsafe": LEADER,
    "config": CONFIG,
    "initialize": CONFIG,
    "history": CONFIG,
    "failover": FAILOVER,
    "sync": SYNC,
}
_TEXT, _NUMBER, _JSON = "text", "number", "JSON"
_PARTS: Final[Mapping[str, Mapping[str, str]]] = {
    "status": {"optime": _NUMBER, "slots": _JSON, "retain_slots": _JSON},
    "failover": {"leader": _TEXT, "member": _TEXT, "scheduled_at": _TEXT},
    "sync": {"leader": _TEXT, "quorum": _NUMBER, "sync_standby": _TEXT},
}
_OTHER_PREFIX: Final = "r."  # an annotation's name begins with a letter
TOGETHER: Final = tuple(tuple(name for name, home in _HOME.items() if home == one) for one in (LEADER, CONFIG, FAILOVER, SYNC))

Annotations = Mapping[str, str]
Changes = dict[str, str | None]  # annotations to write; ``None``: to remove


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One object of a cluster as it stands; ``version`` 0: it does not."""

    home: str
    version: int = 0
    annotations: Annotations
    spec: Mapping[str, object]

    @property
    def records(self) -> dict[str, str]:
        """Return the records in it."""
        return records_of(self.home, self.annotations)

    def version_of(self, name: str) -> int:
        """Return the version of a record; 0: absent."""
        return self.version if name in self.records else 0


def home_of(name: str) -> str:
    """Return the object in which a record stands."""
    return _HOME.get(name, OTHER)


def records_of(home: str, annotations: Annotations) -> dict[str, str]:
    """Return the records in the annotations of an object."""
    if home == OTHER:
        return {_unquote(key): value for key, value in annotations.items() if key.startswith(_OTHER_PREFIX)}
    found = {name: _read(name, annotations) for name, place in _HOME.items() if place == home}
    return {name: text for name, text in found.items() if text is not None}


def changes_for(name: str, text: str | None) -> Changes:
    """Return the annotations that a record is written with."""
    if name in _PARTS:
        parts = _split(name, text)
        return {**parts, TEXT: None if _join(name, _present(parts)) == text else text}
    return {name if name in _HOME else _quote(name): text}


def all_changes(puts: Iterable[tuple[str, str | None]]) -> Changes:
    """Return the annotations of several records of one object."""
    changes: Changes = {}
    for name, text in puts:
        changes |= changes_for(name, text)
    return changes


def _read(name: str, annotations: Annotations) -> str | None:
    if name not in _PARTS:
        return annotations.get(name)
    parts = {key: annotations[key] for key in _PARTS[name] if key in annotations}
    text = annotations.get(TEXT)
    if text is not None and _present(_split(name, text)) == parts:
        return text
    return _join(name, parts)


def _split(name: str, text: str | None) -> Changes:
    """Take a record apart."""
    found = _parsed(text)
    fields = found if isinstance(found, dict) else {}
    return {key: _part(fields.get(key), kind) for key, kind in _PARTS[name].items()}


def _part(value: object, kind: str) -> str | None:
    if kind == _JSON:
        return _compact(value) if value else None
    if kind == _NUMBER:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
    return value if isinstance(value, str) and value else None


def _join(name: str, parts: Annotations) -> str | None:
    """Put a record together, as the field writes it into other stores."""
    if not parts:
        return None
    fields: dict[str, object] = {}
    for key, kind in _PARTS[name].items():
        if key in parts:
            fields[key] = parts[key] if kind == _TEXT or (found := _parsed(parts[key])) is None else found
        elif name == "sync" and key != "leader":
            fields[key] = 0 if kind == _NUMBER else None
    return _compact(fields)


def _parsed(text: str | None) -> object:
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError):
        return None


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _present(changes: Changes) -> dict[str, str]:
    return {key: value for key, value in changes.items() if value is not None}


def _quote(name: str) -> str:
    plain = "".join(one if one.isascii() and one.isalnum() else "".join(f"_{byte:02X}" for byte in one.encode()) for one in name)
    return _OTHER_PREFIX + plain


def _unquote(key: str) -> str:
    first, *rest = key.removeprefix(_OTHER_PREFIX).split("_")
    try:
        raw = first.encode() + b"".join(bytes.fromhex(one[:2]) + one[2:].encode() for one in rest)
        return raw.decode()
    except ValueError:
        return key
