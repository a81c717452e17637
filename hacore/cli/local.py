"""``validate`` and ``explain-config``: the configuration of this node."""

from collections.abc import Mapping
from typing import Any, Final

import click

from hacore.cli.console import show
from hacore.cli.machine import Finding, findings
from hacore.cli.parameters import format_option
from hacore.cli.place import Place
from hacore.cli.sheet import Column, Sheet, document
from hacore.cli.site import open_store
from hacore.config import ConfigFaultsError, LoadedConfig, load
from hacore.config.client import ClientSettings
from hacore.config.dynamic import Accepted, accept, last_known
from hacore.config.explaining import DYNAMIC, explain
from hacore.errors import HacoreError
from hacore.plugins.schemas import InstalledSchemas

WRONG: Final = 2


@click.command()
@click.argument("config", required=False, metavar="[CONFIG]")
@click.option("--strict", is_flag=True, help="Unknown keys, and whatever else would only be warned of, are errors.")
@click.option("--online", is_flag=True, help="Ask also what plugins drive: the store, an archive.")
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
    dynamic, origin = last_known(loaded.local) if is_local else _dynamic(loaded)
    rows = explain(loaded, dynamic, origin=origin)
    show([Sheet(columns=_COLUMNS, rows=tuple({"Key": one.path, "Value": one.value, "Origin": one.origin} for one in rows))], form)


def _dynamic(loaded: LoadedConfig) -> tuple[Mapping[str, Any] | None, str]:
    """Read the dynamic configuration, and name its place; where none can be used say so, and go on with what a node has in its stead."""
    local = loaded.local
    settings = ClientSettings(scope=local.scope, namespace=local.namespace, ctl=local.ctl, dcs=local.dcs)
    try:
        with open_store(settings, local.scope) as store:
            text = store.view().config
        accepted = accept(text, None)
        reason = "; ".join(map(str, accepted.faults)) if text is not None else "there is none yet"
    except HacoreError as error:
        accepted, reason = Accepted(config=None), str(error)
    if accepted.config is not None:
        return accepted.config, DYNAMIC
    known, origin = last_known(local)
    shown = "its keys show their defaults" if known is None else f"its keys are shown as {origin} has them"
    click.echo(f"Warning: the dynamic configuration is not known, {shown}: {reason}", err=True)
    return known, origin
