"""Rows under named columns, and their forms for programs: JSON, YAML, tab-separated. For people see ``console``."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

Row = Mapping[str, Any]  # by column title; what is absent or ``None`` is an empty cell

_HIDDEN_LONGER_THAN: Final = 50


def plain(value: object) -> str:
    """Write a cell on one line."""
    if value is None:
        return ""
    if isinstance(value, Mapping | list | tuple):
        text: str = yaml.safe_dump(_simple(value), default_flow_style=True, width=10_000, sort_keys=False)
        return text.strip()
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace("\t", " ").replace("\n", ", ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column. What concerns people alone: header, alignment, whether it may be left out where the screen is narrow."""

    title: str
    header: str | None = None  # for people, where it is not the title
    narrow_header: str | None = None
    right: bool = False
    is_wide: bool = False  # left out where the screen is narrow
    for_programs: bool = False  # not shown to people
    optional: bool = False  # shown only where a row has a value; said below where the screen is narrow
    wraps: bool = False  # long texts may go on in the next line
    widest: int | None = None
    text: Callable[[object], str] = plain
    style: Callable[[object], str] = field(default=lambda _: "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table: columns, rows, and for people a title and lines below."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    title: str = ""
    footer: tuple[str, ...] = ()

    def shown(self, *, everything: bool = False) -> tuple[Column, ...]:
        """Return the columns that have something to show."""
        return tuple(one for one in self.columns if everything or not one.optional or any(row.get(one.title) for row in self.rows))


def objects(sheets: Sequence[Sheet]) -> list[dict[str, Any]]:
    """Return all rows as objects without their empty cells."""
    return [
        {one.title: row[one.title] for one in sheet.columns if row.get(one.title) not in (None, "")}
        for sheet in sheets
        for row in sheet.rows
    ]


def for_programs(sheets: Sequence[Sheet], form: str, *, everything: bool = False) -> str:
    """Write rows as ``json``, ``yaml`` or ``tsv``."""
    if form in {"json", "yaml", "yml"}:
        return document(objects(sheets), form)
    columns = list(dict.fromkeys(one for sheet in sheets for one in sheet.shown(everything=everything)))
    lines = ["\t".join(one.title for one in columns)]
    lines += ["\t".join(plain(row.get(one.title)) for one in columns) for sheet in sheets for row in sheet.rows]
    return "\n".join(lines)


def document(value: object, form: str) -> str:
    """Write a plain value as ``json`` or ``yaml``."""
    if form == "json":
        return json.dumps(_simple(value), ensure_ascii=False)
    text: str = yaml.safe_dump(_simple(value), default_flow_style=False, sort_keys=False, allow_unicode=True)
    return text.rstrip("\n")


def block(value: object) -> str:
    """Write a cell for people: mappings as YAML on lines of their own."""
    if not isinstance(value, Mapping):
        return "" if value is None else str(value)
    text: str = yaml.safe_dump(_simple(value), default_flow_style=False, sort_keys=False)
    return text.rstrip("\n")


def short_lines(value: object) -> str:
    """Write a cell of several lines for people; what would burst the table is not shown."""
    lines = str(value or "").split("\n")
    return "\n".join(one if len(one) <= _HIDDEN_LONGER_THAN else f"{one.partition(':')[0]}: [hidden - too long]" for one in lines)


def _simple(value: object) -> Any:  # noqa: ANN401 - plain values in, plain values out
    """Return a copy of builtin types alone, which is all that the writers know."""
    if isinstance(value, Mapping):
        return {str(key): _simple(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_simple(one) for one in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    return float(value) if isinstance(value, float) else str(value)
