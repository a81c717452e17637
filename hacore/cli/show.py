"""How rows and documents are shown: for people, or for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click
import yaml
from rich import box
from rich.console import Console
from rich.table import Table

FORMATS: Final = ("pretty", "tsv", "json", "yaml", "yml")
_NARROW: Final = 80
_RIGHT: Final = frozenset({"TL", "Lag", "Receive Lag", "Replay Lag", "LSN", "Receive LSN", "Replay LSN"})

format_option = click.option(
    "-f", "--format", "form", type=click.Choice(FORMATS), default="pretty", show_default=True, help="Output format."
)

Row = Mapping[str, Any]


def console() -> Console:
    """Return where people are shown things: 80 columns and no colour unless it is a terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120, soft_wrap=False)


def show_document(document: object, form: str) -> None:
    """Show anything as JSON, or as YAML for people."""
    if form == "json":
        click.echo(json.dumps(document, default=str, indent=2))
    else:
        click.echo(yaml.safe_dump(document, default_flow_style=False, sort_keys=False, allow_unicode=True).rstrip())


def show_rows(rows: Sequence[Row], columns: Sequence[str], form: str, *, title: str = "", optional: Sequence[str] = ()) -> None:
    """Show rows under their columns; empty cells are left out for programs.

    :param optional: columns that people do without where the terminal is too narrow for all.
    """
    if form in {"json", "yaml", "yml"}:
        found = [{name: row[name] for name in columns if row.get(name) not in (None, "")} for row in rows]
        show_document(found, form)
    elif form == "tsv":
        click.echo("\t".join(columns))
        for row in rows:
            click.echo("\t".join(_flat(row.get(name)) for name in columns))
    else:
        _show_table(rows, columns, title, optional)


def _show_table(rows: Sequence[Row], columns: Sequence[str], title: str, optional: Sequence[str]) -> None:
    out = console()
    table = _table(rows, columns, title)
    if out.measure(table).minimum > out.width or _wanted_width(rows, columns) > out.width:
        table = _table(rows, [name for name in columns if name not in optional], title)
    out.print(table)


def _table(rows: Sequence[Row], columns: Sequence[str], title: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", title_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(
            name.removeprefix("Receive ").removeprefix("Replay ") if name.endswith("Lag") else name, justify=_side(name), overflow="fold"
        )
    for row in rows:
        style = "bold green" if row.get("Role") in {"Leader", "Standby Leader"} else ""
        table.add_row(*(_cell(row.get(name)) for name in columns), style=style)
    return table


def _side(name: str) -> Any:  # noqa: ANN401 - one of Rich's literals
    return "right" if name in _RIGHT else "left"


def _wanted_width(rows: Sequence[Row], columns: Sequence[str]) -> int:
    widths = [max([len(name), *(len(_flat(row.get(name)).split("\n", 1)[0]) for row in rows)]) for name in columns]
    return sum(widths) + 2 * len(widths)


def _cell(value: object) -> str:
    if isinstance(value, Mapping):
        return yaml.safe_dump(dict(value), default_flow_style=False).strip() if value else ""
    return "" if value is None else str(value)


def _flat(value: object) -> str:
    if isinstance(value, Mapping):
        return json.dumps(dict(value), default=str) if value else ""
    return "" if value is None else str(value).replace("\n", " ")
