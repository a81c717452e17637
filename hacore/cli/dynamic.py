"""``show-config`` and ``edit-config``: the dynamic configuration of the whole cluster (interface reference 2 and 9)."""

import os
import shutil
import sys
from collections.abc import Mapping
from typing import Any, Final

import click

from hacore.cli.changes import Wanted, as_yaml, changed, difference, mapping_of, text_of
from hacore.cli.parameters import cluster_argument, force_option
from hacore.cli.place import Place
from hacore.cli.sheet import document
from hacore.cli.site import CommandError, Site, config_of, open_site
from hacore.config.dynamic import dump, faults
from hacore.config.remarks import remarks
from hacore.records import names

_COLOURS: Final = {"+": "green", "-": "red", "@": "cyan"}


@click.command("show-config")
@cluster_argument
@click.option("-f", "--format", "form", type=click.Choice(("yaml", "json")), default="yaml", show_default=True, help="Form of the output.")
@click.pass_obj
def show_config(place: Place, cluster: str | None, form: str) -> None:
    """Show the dynamic configuration: what holds for all members."""
    with open_site(place, cluster) as site:
        click.echo(document(config_of(site.existing()), form))


@click.command("edit-config")
@cluster_argument
@click.option("-q", "--quiet", is_flag=True, help="Do not show the changes.")
@click.option(
    "-s", "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a key, as postgresql.use_slots=false; null removes it."
)
@click.option("-p", "--pg", "parameters", multiple=True, metavar="NAME=VALUE", help="Set a parameter of PostgreSQL.")
@click.option("--apply", "apply_file", metavar="FILE", help="Lay this YAML over the configuration; - is standard input.")
@click.option("--replace", "replace_file", metavar="FILE", help="Put this YAML in its place; - is standard input.")
@force_option
@click.pass_obj
def edit_config(
    place: Place,
    cluster: str | None,
    settings: tuple[str, ...],
    parameters: tuple[str, ...],
    apply_file: str | None,
    replace_file: str | None,
    *,
    quiet: bool,
    force: bool,
) -> None:
    """Change the dynamic configuration: by options, or without any in an editor ($EDITOR)."""
    wanted = Wanted(settings=settings, parameters=parameters, apply_file=apply_file, replace_file=replace_file)
    with open_site(place, cluster) as site:
        view = site.existing()
        before = config_of(view)
        after = _edited(before) if wanted.is_empty else changed(before, wanted)
        if text_of(after) == dump(before):
            click.echo("Not changed")
            return
        _check(after)
        if not quiet:
            _show(before, after)
        if not force:
            if wanted.reads_stdin:
                raise CommandError("Use --force option to apply changes")
            click.confirm("Apply these changes?", abort=True, err=True)
        _write(site, after, expected=view.config_version or 0)
        click.echo("Configuration changed")


def _edited(config: Mapping[str, Any]) -> dict[str, Any]:
    """Let a person edit it: in $VISUAL or $EDITOR, else in what the system calls its editor."""
    chosen = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    text = click.edit(as_yaml(config), editor=chosen or shutil.which("editor") or shutil.which("vi"), extension=".yaml")
    return dict(config) if text is None else mapping_of(text, "the edited text")


def _check(config: Mapping[str, Any]) -> None:
    """Refuse what no member could use, all of it at once; warn of what members will not do as it is written.

    :raises CommandError: a value is wrong.
    """
    wrong = faults(config)
    if wrong:
        raise CommandError("\n".join(map(str, wrong)))
    for one in remarks(config):
        click.echo(f"Warning: {one}", err=True)


def _show(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    lines = difference(before, after)
    if sys.stdout.isatty() and len(lines) > shutil.get_terminal_size().lines:
        click.echo_via_pager("\n".join(click.style(line, fg=_COLOURS.get(line[:1])) for line in lines) + "\n")
        return
    for line in lines:
        click.secho(line, fg=_COLOURS.get(line[:1]))


def _write(site: Site, config: Mapping[str, Any], *, expected: int) -> None:
    if not site.replace(names.CONFIG, dump(config), expected=expected):
        raise CommandError("Config modification aborted due to concurrent changes")
