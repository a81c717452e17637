"""``validate`` and ``explain-config``: the configuration of this node."""

from typing import Final

import click

from hacore.cli.console import show
from hacore.cli.known import known_here, known_in_store
from hacore.cli.machine import Finding, findings
from hacore.cli.parameters import format_option
from hacore.cli.place import Place
from hacore.cli.sheet import Column, Sheet, document
from hacore.config import ConfigFaultsError, load
from hacore.config.explaining import explain
from hacore.plugins.schemas import InstalledSchemas

WRONG: Final = 2


@click.command()
@click.argument("config", required=False, metavar="[CONFIG]")
@click.option("--strict", is_flag=True, help="Unknown keys, and whatever else would only be warned of, are errors.")
@click.option("--online", is_flag=True, help="Ask also what plugins drive, and read the dynamic configuration from the store.")
@click.option("-i", "--ignore-listen-port", "ignores_ports", is_flag=True, help="Do not look whether the ports are free.")
@click.option("-f", "--format", "form", type=click.Choice(("pretty", "json", "yaml")), default="pretty", show_default=True)
@click.pass_obj
@click.pass_context
def validate(ctx: click.Context, place: Place, config: str | None, form: str, *, strict: bool, online: bool, ignores_ports: bool) -> None:
    """Say everything that is wrong with a configuration: a file, a directory of files, or the environment."""
    path = place.path(config)
    found: list[Finding] = []
    try:
        loaded = load(path, place.settings, plugins=InstalledSchemas(), strict=strict)
    except ConfigFaultsError as error:
        found += [Finding(str(one), is_fault=True) for one in error.faults]
    else:
        found += [Finding(str(one), is_fault=strict) for one in loaded.warnings]
        found += [Finding(one.text, is_fault=one.is_fault or strict) for one in findings(loaded, online=online, ports=not ignores_ports)]
    found = list(dict.fromkeys(found))
    _say(found, path or "environment", form)
    if any(one.is_fault for one in found):
        ctx.exit(WRONG)


def _say(found: list[Finding], name: str, form: str) -> None:
    faults = [one.text for one in found if one.is_fault]
    warnings = [one.text for one in found if not one.is_fault]
    if form != "pretty":
        click.echo(document({"configuration": name, "faults": faults, "warnings": warnings}, form))
        return
    for text in faults:
        click.echo(f"Error: {text}", err=True)
    for text in warnings:
        click.echo(f"Warning: {text}", err=True)
    if not faults:
        click.echo(f"{name}: good" + (f", {len(warnings)} warnings" if len(warnings) > 1 else ", 1 warning" if warnings else ""))


_COLUMNS: Final = (Column(title="Key"), Column(title="Value", wraps=True, widest=60), Column(title="Origin", wraps=True))


@click.command(name="explain-config")
@click.argument("config", required=False, metavar="[CONFIG]")
@click.option("--local", "is_local", is_flag=True, help="Do not read the dynamic configuration from the store.")
@format_option
@click.pass_obj
def explain_config(place: Place, config: str | None, form: str, *, is_local: bool) -> None:
    """Show each value in force and where it comes from: a default, FILE:LINE, the environment, the dynamic configuration."""
    loaded = load(place.path(config), place.settings, plugins=InstalledSchemas())
    known = known_here(loaded) if is_local else known_in_store(loaded)
    if known.why_not is not None:
        click.echo(f"Warning: {known.warning}", err=True)
    rows = explain(loaded, known.config, origin=known.origin)
    show([Sheet(columns=_COLUMNS, rows=tuple({"Key": one.path, "Value": one.value, "Origin": one.origin} for one in rows))], form)
