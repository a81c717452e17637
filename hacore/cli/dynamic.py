"""show-config and edit-config: the dynamic configuration of the whole cluster (interface reference 2 and 9)."""

import difflib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click
import yaml

from hacore.cli.listing import cluster_argument
from hacore.cli.show import FORMATS, show_document
from hacore.cli.site import CommandError, Site, config_of, open_site
from hacore.config.dynamic import dump, faults, patch, unknown
from hacore.interfaces import Put, Refused, WriteRequest
from hacore.model.cluster import ClusterView
from hacore.records import names

_STDIN: Final = "-"
_COLOURS: Final = {"+": "green", "-": "red", "@": "cyan"}

Change = Callable[[dict[str, Any]], dict[str, Any]]


@click.command("show-config")
@cluster_argument
@click.option("-f", "--format", "form", type=click.Choice(FORMATS), default="yaml", show_default=True, help="Output format.")
@click.pass_context
def show_config(ctx: click.Context, cluster: str | None, form: str) -> None:
    """Show the dynamic configuration."""
    with open_site(ctx, cluster) as site:
        show_document(config_of(site.view()), form)


@click.command("edit-config")
@cluster_argument
@click.option("-q", "--quiet", is_flag=True, help="Do not show the changes.")
@click.option("-s", "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a key, as ttl=40 or postgresql.use_slots=false.")
@click.option("-p", "--pg", "parameters", multiple=True, metavar="NAME=VALUE", help="Set a parameter of PostgreSQL.")
@click.option("--apply", "apply_file", metavar="FILE", help="Lay this YAML over the configuration; - is standard input.")
@click.option("--replace", "replace_file", metavar="FILE", help="Replace the configuration by this YAML; - is standard input.")
@click.option("--force", is_flag=True, help="Ask nothing.")
@click.pass_context
def edit_config(
    ctx: click.Context,
    cluster: str | None,
    settings: tuple[str, ...],
    parameters: tuple[str, ...],
    apply_file: str | None,
    replace_file: str | None,
    *,
    quiet: bool,
    force: bool,
) -> None:
    """Change the dynamic configuration, in an editor or by options."""
    changes = _changes(settings, parameters, apply_file, replace_file)
    with open_site(ctx, cluster) as site:
        view = site.view()
        before = config_of(view)
        after = before
        for change in changes or [_in_editor]:
            after = change(after)
        if after == before:
            click.echo("Not changed")
            return
        _refuse_faults(after)
        if not quiet:
            _show_difference(before, after)
        from_stdin = _STDIN in (apply_file, replace_file)
        if from_stdin and not force:
            click.echo("Use --force option to apply changes")
            return
        if force or click.confirm("Apply these changes?"):
            _write(site, view, after)
            click.echo("Configuration changed")


def _changes(settings: tuple[str, ...], parameters: tuple[str, ...], apply_file: str | None, replace_file: str | None) -> list[Change]:
    changes: list[Change] = []
    if replace_file is not None:
        replacement = _read(replace_file)
        changes.append(lambda _: replacement)
    if apply_file is not None:
        layer = _read(apply_file)
        changes.append(lambda config: patch(config, layer)[0])
    assignments = [(_path(key), value) for key, value in map(_split, settings)]
    assignments += [(("postgresql", "parameters", name), value) for name, value in map(_split, parameters)]
    for path, value in assignments:
        changes.append(lambda config, path=path, value=value: _without_empty(patch(config, _nested(path, value))[0]))  # type: ignore[misc]
    return changes


def _split(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.UsageError(f"{text!r}: want KEY=VALUE")
    return key.strip(), yaml.safe_load(value)


def _path(key: str) -> tuple[str, ...]:
    """Split at dots; under postgresql.parameters they belong to the name of the parameter."""
    head = "postgresql.parameters."
    return ("postgresql", "parameters", key.removeprefix(head)) if key.startswith(head) else tuple(key.split("."))


def _nested(path: tuple[str, ...], value: object) -> dict[str, Any]:
    return {path[0]: value if len(path) == 1 else _nested(path[1:], value)}


def _without_empty(config: Mapping[str, Any]) -> dict[str, Any]:
    cleaned = {key: _without_empty(value) if isinstance(value, Mapping) else value for key, value in config.items()}
    return {key: value for key, value in cleaned.items() if value != {}}


def _read(name: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if name == _STDIN else Path(name).read_text()
        found = yaml.safe_load(text)
    except OSError as error:
        raise click.UsageError(f"{name}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise CommandError(f"{name}: not YAML: {error}") from error
    if not isinstance(found, dict):
        raise CommandError(f"{name}: want a mapping")
    return found


def _in_editor(config: dict[str, Any]) -> dict[str, Any]:
    text = click.edit(yaml.safe_dump(config, default_flow_style=False, sort_keys=False), extension=".yaml", require_save=False)
    try:
        found = yaml.safe_load(text or "")
    except yaml.YAMLError as error:
        raise CommandError(f"not YAML: {error}") from error
    if not isinstance(found, dict):
        raise CommandError("want a mapping")
    return found


def _refuse_faults(config: Mapping[str, Any]) -> None:
    wrong = faults(config)
    if wrong:
        raise CommandError("\n".join(str(fault) for fault in wrong))
    for fault in unknown(config):
        click.echo(f"Warning: {fault}", err=True)


def _show_difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    old, new = (yaml.safe_dump(dict(one), default_flow_style=False, sort_keys=False).splitlines() for one in (before, after))
    lines = list(difflib.unified_diff(old, new, lineterm=""))
    for line in lines[2:]:
        click.secho(line, fg=_COLOURS.get(line[:1]))


def _write(site: Site, view: ClusterView, config: Mapping[str, Any]) -> None:
    put = Put(name=names.CONFIG, value=dump(config), expected=view.config_version)
    if isinstance(site.dcs.write(WriteRequest(puts=(put,)), timeout_s=5.0), Refused):
        raise CommandError("Config modification aborted due to concurrent changes")
