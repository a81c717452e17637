"""``hacore plugins``: what is installed, whether it can be loaded, what it takes as settings; and a new one to begin with."""

import click

from hacore.cli.console import show
from hacore.cli.parameters import format_option
from hacore.cli.scaffold import new
from hacore.cli.sheet import Column, Sheet, document
from hacore.cli.site import CommandError
from hacore.plugins.catalogue import Row, available

_LIST = (
    Column(title="Kind"),
    Column(title="Name", style=lambda _: "bold"),
    Column(title="Distribution"),
    Column(title="Version"),
    Column(title="Loaded", wraps=True, widest=100, style=lambda value: "green" if value == "yes" else "red"),
)
_SETTINGS = (
    Column(title="Setting"),
    Column(title="Default", wraps=True),
    Column(title="Required"),
)
_CAPABILITIES = (
    Column(title="Capability"),
    Column(title="Value"),
    Column(title="Meaning", wraps=True, widest=60),
)


@click.group()
def plugins() -> None:
    """Show the installed plugins, or make a new one."""


plugins.add_command(new)


@plugins.command(name="list")
@format_option
def list_(form: str) -> None:
    """List every installed plugin: its kind, name, distribution, version, and whether it can be loaded or why not."""
    rows = tuple(
        {"Kind": one.kind, "Name": one.name, "Distribution": one.distribution, "Version": one.version, "Loaded": one.problem or "yes"}
        for one in available()
    )
    show([Sheet(columns=_LIST, rows=rows)], form)


@plugins.command(name="show")
@click.argument("name")
@format_option
def show_(name: str, form: str) -> None:
    """Show one plugin: what it is, and its settings with their defaults."""
    found = [one for one in available() if one.name == name]
    if not found:
        raise CommandError(f"plugin {name}: not installed; hacore plugins list shows those that are")
    if form in {"json", "yaml", "yml"}:
        click.echo(document([_object(one) for one in found], form))
        return
    settings = tuple(
        {"Setting": key.name, "Default": _default(key.default, is_secret=key.secret), "Required": "yes" if key.required else "no"}
        for key in found[0].settings
    )
    sheet = Sheet(columns=_SETTINGS, rows=settings)
    if form == "tsv":
        show([sheet], form)
        return
    first, traits = found[0], next((dict(one.traits) for one in found if one.traits), {})
    lines = {
        "Name": name,
        "Kind": ", ".join(one.kind for one in found),
        "Distribution": f"{first.distribution} {first.version}",
        "Class": first.target,
        "Loaded": first.problem or "yes",
        "About": first.description,
        "Layer": str(traits.get("layer", "")),
        "Drains": "" if not traits else "yes, it holds new work back at a switchover" if traits["drains"] else "no",
    }
    for title, text in lines.items():
        if text:
            click.echo(f"{title + ':':14}{text}")
    if settings:
        click.echo()
        show([sheet], form)
    else:
        click.echo("It takes no settings." if first.problem is None else "")
    capabilities = tuple({"Capability": one.name, "Value": _value(one.value), "Meaning": one.meaning} for one in first.capabilities)
    if capabilities:
        click.echo()
        show([Sheet(columns=_CAPABILITIES, rows=capabilities)], form)


def _default(value: object, *, is_secret: bool) -> object:
    return "(secret)" if is_secret else value


def _value(value: float | tuple[tuple[str, ...], ...]) -> object:
    if isinstance(value, tuple):
        return "; ".join(", ".join(group) for group in value) or "all"
    return ("yes" if value else "no") if isinstance(value, bool) else value


def _object(one: Row) -> dict[str, object]:
    return {
        "kind": one.kind,
        "name": one.name,
        "distribution": one.distribution,
        "version": one.version,
        "class": one.target,
        "loaded": one.problem is None,
        "problem": one.problem,
        "description": one.description,
        "settings": [{"name": key.name, "default": key.default, "required": key.required, "secret": key.secret} for key in one.settings],
        **({"traits": dict(one.traits)} if one.traits else {}),
        **({"capabilities": {key.name: key.value for key in one.capabilities}} if one.capabilities else {}),
    }
