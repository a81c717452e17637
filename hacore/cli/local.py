"""Commands on the configuration of this node: validate, explain-config."""

from dataclasses import replace

import click

from hacore.cli.place import place_of
from hacore.cli.show import FORMATS, show_rows
from hacore.cli.site import config_of, open_site
from hacore.config import LocalSettings, effective, explain, load
from hacore.errors import DcsUnavailableError
from hacore.hookspecs import PluginContext, Validate
from hacore.model.clock import BootClock
from hacore.plugins.registry import Registry
from hacore.plugins.reports import validate as ask_plugins
from hacore.plugins.schemas import InstalledSchemas
from hacore.plugins.selection import agent_plugins


@click.command()
@click.argument("config", required=False, type=click.Path())
@click.option("--strict", is_flag=True, help="Unknown keys are faults, not warnings.")
@click.option("--online", is_flag=True, help="Let plugins ask what they drive.")
@click.pass_context
def validate(ctx: click.Context, config: str | None, *, strict: bool, online: bool) -> None:
    """Check a configuration: all faults at once, each with its place."""
    path = place_of(ctx).path(config)
    loaded = load(path, place_of(ctx).settings, plugins=InstalledSchemas(), strict=strict)
    for fault in loaded.warnings:
        click.echo(f"Warning: {fault}", err=True)
    problems = _problems_of_plugins(loaded.local, online=online)
    for problem in problems:
        click.echo(f"Error: {problem}", err=True)
    if problems:
        ctx.exit(2)
    click.echo(f"{path or 'environment'}: OK")


@click.command("explain-config")
@click.argument("config", required=False, type=click.Path())
@click.option("-f", "--format", "form", type=click.Choice(FORMATS), default="pretty", show_default=True, help="Output format.")
@click.pass_context
def explain_config(ctx: click.Context, config: str | None, form: str) -> None:
    """Show each value in force with its origin: default, file and line, environment, or dynamic."""
    path = place_of(ctx).path(config)
    loaded = load(path, place_of(ctx).settings, plugins=InstalledSchemas())
    ctx.find_root().obj = replace(place_of(ctx), config_file=path)
    dynamic = None
    try:
        with open_site(ctx, None) as site:
            view = site.view()
            dynamic = config_of(view) if view.config is not None else None
    except DcsUnavailableError as error:
        click.echo(f"Warning: the store does not answer, dynamic values are not shown: {error}", err=True)
    rows = [{"Key": row.path, "Value": _text(row.value), "Origin": row.origin} for row in explain(loaded, dynamic)]
    show_rows(rows, ("Key", "Value", "Origin"), form)


def _text(value: object) -> object:
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _problems_of_plugins(local: LocalSettings, *, online: bool) -> list[str]:
    registry = Registry()
    try:
        registry.update(agent_plugins(local, effective(local, None).postgres))
        context = PluginContext(scope=local.scope, namespace=local.namespace, member=local.name, clock=BootClock())
        found = ask_plugins(registry.every(), Validate(context=context, online=online))
    finally:
        registry.close()
    return [problem for problems in found.values() for problem in problems]
