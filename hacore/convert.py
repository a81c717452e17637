"""Plain values of configuration (YAML, JSON, environment) turned into typed ones, by the rules of the field.

Each converter takes what was found and returns the value, or raises :class:`WrongValueError` with the sentence that says what is
wanted. They know neither files nor schemas and import no library, so that a running agent can read the dynamic configuration cheaply.
"""

import math
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

T = TypeVar("T")
Converter = Callable[[object], T]
Parts = dict[tuple[str | int, ...], str]  # what is wanted, by the path of the part that is wrong

_TRUE: Final = frozenset({"on", "true", "yes", "1"})
_FALSE: Final = frozenset({"off", "false", "no", "0"})
_NUMBER: Final = re.compile(r"\s*([-+]?(?:\d+(?:\.\d*)?|\.\d+))\s*([A-Za-zµ]*)\s*")
_SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "": 1, "s": 1, "min": 60, "h": 3600, "d": 86400}
_BYTES: Final = {"": 1, "B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
_INT_MAX: Final = 1 << 63


class WrongValueError(ValueError):
    """A value is not what is wanted; of a list or a mapping, all wrong parts at once.

    :param wanted: the sentence that completes "wanted ...", or the sentences by the path of the part.
    """

    def __init__(self, wanted: str | Mapping[tuple[str | int, ...], str]) -> None:
        self.parts: Parts = {(): wanted} if isinstance(wanted, str) else dict(wanted)
        super().__init__("; ".join(self.parts.values()))


def text(value: object) -> str:
    """Text; a whole number stands for its digits."""
    if isinstance(value, str):
        if "\0" in value:
            raise WrongValueError("text without a NUL character")
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise WrongValueError("text")


def line(value: object) -> str:
    """Accept text of one line, without what surrounds it: a secret that was read from a file ends in a line break."""
    found = text(value).strip()
    if not found.isprintable():
        raise WrongValueError("text of one line, without control characters")
    return found


def word(value: object) -> str:
    """Text that is not empty and has no line break."""
    found = text(value)
    if not found.strip() or "\n" in found:
        raise WrongValueError("text on one line, not empty")
    return found


def flag(value: object) -> bool:
    """On or off, in any of the spellings of the field."""
    if isinstance(value, bool):
        return value
    found = str(value).strip().lower() if isinstance(value, str | int) else ""
    if found in _TRUE:
        return True
    if found in _FALSE:
        return False
    raise WrongValueError("on or off")


def whole(minimum: int | None = None, maximum: int | None = None) -> Converter[int]:
    """Return a converter for whole numbers between the limits."""
    wanted = "a whole number" + _limits(minimum, maximum)

    def convert(value: object) -> int:
        found = _whole(value)
        if found is None or (minimum is not None and found < minimum) or (maximum is not None and found > maximum):
            raise WrongValueError(wanted)
        return found

    return convert


def number(minimum: float | None = None, maximum: float | None = None) -> Converter[float]:
    """Return a converter for numbers between the limits, fractions included."""
    wanted = "a number" + _limits(minimum, maximum)

    def convert(value: object) -> float:
        found = _scaled(value, {"": 1})
        if found is None or (minimum is not None and found < minimum) or (maximum is not None and found > maximum):
            raise WrongValueError(wanted)
        return found

    return convert


def seconds(value: object) -> float:
    """A duration: seconds, or a number with one of us, ms, s, min, h, d."""
    found = _scaled(value, _SECONDS)
    if found is None or found < 0:
        raise WrongValueError("seconds, like 30, or a number with a unit, like 30min (us, ms, s, min, h, d)")
    return found


def size_bytes(value: object) -> int:
    """A size: bytes, or a number with one of B, kB, MB, GB, TB. Negative sizes switch some limits off."""
    found = _scaled(value, _BYTES)
    if found is None:
        raise WrongValueError("bytes, like 1048576, or a number with a unit, like 16MB (B, kB, MB, GB, TB)")
    return int(found)


def choice(*values: str, synonyms: Mapping[str, str] | None = None) -> Converter[str]:
    """Return a converter for one of a few words, in any case; a YAML boolean stands for the word on or off."""
    wanted = "one of " + ", ".join(values)
    known = {one.lower(): one for one in values} | dict(synonyms or {})

    def convert(value: object) -> str:
        found = {True: "on", False: "off"}[value] if isinstance(value, bool) else value
        if not isinstance(found, str) or found.strip().lower() not in known:
            raise WrongValueError(wanted)
        return known[found.strip().lower()]

    return convert


def command(value: object) -> str:
    """A command line that can be split into words as a shell would."""
    found = word(value)
    try:
        words = shlex.split(found)
    except ValueError as error:
        raise WrongValueError("a command line with its quotes closed") from error
    if not words:
        raise WrongValueError("a command line")
    return found


def listed(item: Converter[T], wanted: str = "a list") -> Converter[tuple[T, ...]]:
    """Return a converter for a list of items; all wrong items are reported."""

    def convert(value: object) -> tuple[T, ...]:
        if not isinstance(value, list | tuple):
            raise WrongValueError(wanted)
        found: list[T] = []
        wrong: Parts = {}
        for index, one in enumerate(value):
            try:
                found.append(item(one))
            except WrongValueError as error:
                wrong |= {(index, *path): sentence for path, sentence in error.parts.items()}
        if wrong:
            raise WrongValueError(wrong)
        return tuple(found)

    return convert


def mapped(item: Converter[T], wanted: str = "a mapping") -> Converter[dict[str, T]]:
    """Return a converter for a mapping with text keys; all wrong values are reported."""

    def convert(value: object) -> dict[str, T]:
        if not isinstance(value, Mapping):
            raise WrongValueError(wanted)
        found: dict[str, T] = {}
        wrong: Parts = {}
        for key, one in value.items():
            try:
                found[text(key)] = item(one)
            except WrongValueError as error:
                wrong |= {(str(key), *path): sentence for path, sentence in error.parts.items()}
        if wrong:
            raise WrongValueError(wrong)
        return found

    return convert


def words_or_text(value: object) -> tuple[str, ...]:
    """A list of words, or one text with commas between them."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return listed(word, "a list, or text with commas")(value)


def setting(value: object) -> str:
    """The value of a server setting: text, a number or a boolean, written as PostgreSQL reads it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    try:
        return text(value)
    except WrongValueError as error:
        raise WrongValueError("text, a number, or on or off") from error


def argument(value: object) -> str:
    """A value that a script gets behind ``--name=``; booleans are spelt as scripts of the field expect them."""
    return str(value) if isinstance(value, bool) else setting(value)


def _limits(minimum: float | None, maximum: float | None) -> str:
    if minimum is not None and maximum is not None:
        return f" from {minimum} to {maximum}"
    if minimum is not None:
        return f", {minimum} or more"
    return "" if maximum is None else f", {maximum} or less"


def _whole(value: object) -> int | None:
    scaled = _scaled(value, {"": 1}) if not isinstance(value, int) else value
    if isinstance(value, bool) or scaled is None or scaled != int(scaled):
        return None
    return int(scaled) if abs(scaled) < _INT_MAX else None


def _scaled(value: object, units: Mapping[str, float]) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value[:64])
        unit = _unit(match[2], units) if match else None
        scaled = float(match[1]) * unit if match and unit is not None else math.nan
    else:
        scaled = float(value) if abs(value) < _INT_MAX else math.nan
    return scaled if math.isfinite(scaled) else None


def _unit(found: str, units: Mapping[str, float]) -> float | None:
    return next((factor for unit, factor in units.items() if unit.lower() == found.lower()), None)
