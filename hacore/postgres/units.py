"""Values of settings with and without units, so that ``16MB`` and ``2048`` of ``8kB`` are seen to be the same. Pure."""

import re
from collections.abc import Mapping
from typing import Final

_BYTES: Final[Mapping[str, int]] = {"B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
_MICROSECONDS: Final[Mapping[str, int]] = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "min": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
}
_NUMBER: Final = re.compile(r"\s*([-+]?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+))\s*([A-Za-z]*)\s*")
_BASE: Final = re.compile(r"(\d*)([A-Za-z]+)")
_TRUE: Final = ("on", "true", "yes", "1")
_FALSE: Final = ("off", "false", "no", "0")


def boolean(text: str) -> bool | None:
    """Read a boolean in any spelling that PostgreSQL takes, unique beginnings included."""
    found = text.strip().lower()
    if not found:
        return None
    if any(word.startswith(found) for word in _TRUE) and found != "o":
        return True
    return False if any(word.startswith(found) for word in _FALSE) and found != "o" else None


def number(text: str, unit: str | None) -> float | None:
    """Read a number as a multiple of ``unit``, the base unit of ``pg_settings`` (``8kB``, ``ms``, ...)."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    value = float(int(match[1], 16)) if "x" in match[1].lower() else float(match[1])
    if not match[2]:
        return value
    for family in (_BYTES, _MICROSECONDS):
        base = _multiple(unit or "", family)
        if base is not None and match[2] in family:
            return value * family[match[2]] / base
    return None


def human(value: float, unit: str | None) -> str:
    """Write a multiple of ``unit`` as ``SHOW`` does: in the largest unit that divides it."""
    whole = int(value)
    plain = str(whole) if whole == value else repr(value)
    for family in (_BYTES, _MICROSECONDS):
        base = _multiple(unit or "", family)
        if base is None:
            continue
        if whole <= 0 or whole != value:
            return plain if whole <= 0 else f"{plain}{unit}"
        name, factor = max(((name, factor) for name, factor in family.items() if whole * base % factor == 0), key=lambda item: item[1])
        return f"{whole * base // factor}{name}"
    return plain


def same(left: str, right: str, *, kind: str, unit: str | None) -> bool:
    """Tell whether two texts mean the same value of a setting. ``kind`` is ``vartype`` of ``pg_settings``."""
    if kind == "bool":
        return boolean(left) == boolean(right)
    if kind in {"integer", "real"}:
        first, second = number(left, unit), number(right, unit)
        if first is None or second is None:
            return left.strip() == right.strip()
        return round(first) == round(second) if kind == "integer" else first == second
    if kind == "enum":
        return left.strip().lower() == right.strip().lower()
    return left == right


def _multiple(unit: str, family: Mapping[str, int]) -> int | None:
    match = _BASE.fullmatch(unit)
    if match is None or match[2] not in family:
        return None
    return int(match[1] or 1) * family[match[2]]
