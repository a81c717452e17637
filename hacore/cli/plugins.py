"""plugins list and plugins show: what is installed, and whether it can be used."""

from typing import Any

import click

from hacore.cli.show import FORMATS, console, show_document, show_rows
from hacore.cli.site import CommandError
from hacore.plugins.catalogue import Row, available

_COLUMNS = ("Kind", "Name", "Distribution", "Version", "State")


@click.group()
def plugins() -> None:
    """Show installed plugins."""


@plugins.command("list")
@click.option("-f", "--format", "form", type=click.Choice(FORMATS), default="pretty", show_default=True, help="Output format.")
def list_plugins(form: str) -> None:
    """List every installed plugin, whether it can be loaded, and why not."""
    rows = [
        {
            "Kind": row.kind,
            "Name": row.name,
            "Distribution": row.distribution,
            "Version": row.version,
            "State": f"cannot be used: {row.problem}" if row.problem else "ready",
        }
        for row in sorted(available(), key=lambda row: (row.kind, row.name))
    ]
    show_rows(rows, _COLUMNS, form)


@plugins.command()
@click.argument("name")
@click.option("-f", "--format", "form", type=click.Choice(FORMATS), default="pretty", show_default=True, help="Output format.")
def show(name: str, form: str) -> None:
    """Show one plugin with its settings and their defaults."""
    found = [row for row in available() if row.name == name]
    if not found:
        raise CommandError(f"no plugin is called {name!r}; installed are {', '.join(sorted({row.name for row in available()}))}")
    for row in found:
        if form in {"json", "yaml", "yml"}:
            show_document(_document(row), form)
        else:
            _show(row, form)


def _show(row: Row, form: str) -> None:
    out = console()
    out.print(f"{row.name} ({row.kind}) from {row.distribution} {row.version}: {row.target}", markup=False)
    if row.description:
        out.print(row.description, markup=False)
    if row.problem:
        out.print(f"cannot be used: {row.problem}", markup=False)
    settings = [
        {"Setting": one.name, "Default": "required" if one.required else "secret" if one.secret else _text(one.default)}
        for one in row.settings
    ]
    show_rows(settings, ("Setting", "Default"), form)


def _text(value: object) -> object:
    return "" if value is None else str(value)


def _document(row: Row) -> dict[str, Any]:
    settings = {
        one.name: {"required": one.required, "secret": one.secret, "default": one.default if _is_plain(one.default) else str(one.default)}
        for one in row.settings
    }
    return {
        "kind": row.kind,
        "name": row.name,
        "distribution": row.distribution,
        "version": row.version,
        "target": row.target,
        "problem": row.problem,
        "description": row.description,
        "settings": settings,
    }


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
