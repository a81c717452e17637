"""JSON of records: strict reading of untrusted text, and compact writing. It does not know what a record means."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NoReturn

from hacore.model.lsn import Lsn

RECORD_LIMIT: Final = 1 << 20  # characters; etcd and ZooKeeper refuse larger values by default
MEMBER_LIMIT: Final = 1 << 18

_LSN_MAX: Final = (1 << 64) - 1
_TIMELINE_MAX: Final = (1 << 32) - 1
_INT_MAX: Final = (1 << 63) - 1


class BrokenRecordError(ValueError):
    """A record is there and cannot be understood."""


def parse(text: str, limit: int = RECORD_LIMIT) -> object:
    """Read JSON.

    :raises BrokenRecordError: too long, too deep, not JSON, or with text that cannot be written back.
    """
    if len(text) > limit:
        raise BrokenRecordError(f"{len(text)} characters, want at most {limit}")
    try:
        found: object = json.loads(text, parse_constant=_refuse_constant)
        # Half of a surrogate pair passes the parser, and would fail at each later write.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise BrokenRecordError(f"not JSON: {error}") from error
    return found


def compact(value: object) -> str:
    """Write JSON as the field does: no spaces, keys in the order given."""
    return json.dumps(value, separators=(",", ":"))


def parse_fields(text: str, limit: int = RECORD_LIMIT) -> "Fields":
    """Read a JSON object.

    :raises BrokenRecordError: it is something else.
    """
    return Fields(as_object(parse(text, limit)))


def as_object(value: object) -> dict[str, object]:
    """Return ``value`` as a JSON object."""
    if not isinstance(value, dict):
        raise BrokenRecordError("not a JSON object")
    return value


def as_list(value: object) -> list[object]:
    """Return ``value`` as a JSON list."""
    if not isinstance(value, list):
        raise BrokenRecordError("not a JSON list")
    return value


def as_text(value: object) -> str:
    """Return ``value`` as text."""
    if not isinstance(value, str):
        raise BrokenRecordError(f"want text, found {type(value).__name__}")
    return value


def as_whole(value: object, maximum: int = _INT_MAX) -> int:
    """Return ``value`` as a whole number from 0 to ``maximum``. ``true`` is no number."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= maximum:
        raise BrokenRecordError(f"want a whole number from 0 to {maximum}")
    return value


def as_number(value: object) -> float:
    """Return ``value`` as a number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _INT_MAX:
        raise BrokenRecordError("want a number")
    return float(value)


def as_lsn(value: object) -> Lsn:
    """Return ``value`` as a position: an absolute number of bytes."""
    return Lsn(as_whole(value, _LSN_MAX))


def as_timeline(value: object) -> int:
    """Return ``value`` as a timeline; they start at 1."""
    found = as_whole(value, _TIMELINE_MAX)
    if not found:
        raise BrokenRecordError("timeline 0")
    return found


def as_instant(value: object) -> datetime:
    """Return ``value`` as a time of day with its zone: without one nobody can know when it is."""
    text = as_text(value)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise BrokenRecordError(f"not a time: {error}") from error
    if found.utcoffset() is None:
        raise BrokenRecordError(f"{text[:40]}: a time without a zone")
    return found


def as_texts(value: object) -> tuple[str, ...]:
    """Return ``value`` as a list of texts."""
    return tuple(as_text(one) for one in as_list(value))


class Fields:
    """A JSON object, read field by field. A field that is absent, or ``null``, is ``None``."""

    def __init__(self, found: Mapping[str, object]) -> None:
        self._found = found

    def text(self, name: str) -> str | None:
        """Return the text of a field."""
        found = self.raw(name)
        return None if found is None else as_text(found)

    def whole(self, name: str) -> int | None:
        """Return a field that holds a whole number."""
        found = self.raw(name)
        return None if found is None else as_whole(found)

    def number(self, name: str) -> float | None:
        """Return a field that holds a number."""
        found = self.raw(name)
        return None if found is None else as_number(found)

    def lsn(self, name: str) -> Lsn | None:
        """Return a field that holds a position."""
        found = self.raw(name)
        return None if found is None else as_lsn(found)

    def timeline(self, name: str) -> int | None:
        """Return a field that holds a timeline; 0 is what some write where they do not know."""
        found = self.raw(name)
        return as_timeline(found) if found else None

    def instant(self, name: str) -> datetime | None:
        """Return a field that holds a time; some write an empty text where there is none."""
        found = self.raw(name)
        return None if found is None or found == "" else as_instant(found)

    def flag(self, name: str) -> bool | None:
        """Return a field that holds true or false."""
        found = self.raw(name)
        if found is not None and not isinstance(found, bool):
            raise BrokenRecordError(f"{name}: want true or false")
        return found

    def fields(self, name: str) -> "Fields":
        """Return a field that holds an object, empty where it is absent."""
        return Fields(self.mapping(name))

    def mapping(self, name: str) -> dict[str, object]:
        """Return a field that holds an object, empty where it is absent."""
        found = self.raw(name)
        return {} if found is None else as_object(found)

    def items(self, name: str) -> list[object]:
        """Return a field that holds a list, empty where it is absent."""
        found = self.raw(name)
        return [] if found is None else as_list(found)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a field that holds a list of texts, empty where it is absent."""
        return as_texts(self.items(name))

    def raw(self, name: str) -> object:
        """Return a field as it stands."""
        return self._found.get(name)

    def all(self) -> dict[str, object]:
        """Return every field as it stands."""
        return dict(self._found)

    def required(self, name: str) -> object:
        """Return a field without which the record means nothing."""
        found = self.raw(name)
        if found is None:
            raise BrokenRecordError(f"{name} is missing")
        return found


def merge(value: Mapping[str, object], previous: str | None, known: frozenset[str]) -> str:
    """Write ``value`` and, after it, those fields of the previous record that we do not know: they are not ours to drop."""
    kept: dict[str, object] = {}
    if previous is not None:
        try:
            kept = {name: found for name, found in as_object(parse(previous)).items() if name not in known}
        except BrokenRecordError:
            kept = {}  # nothing in it can be told apart, so nothing can be kept
    return compact({**value, **kept})


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
