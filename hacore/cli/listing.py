"""Commands that only look: ``list``, ``topology``, ``dsn``, ``version``. They read the store; ``version`` asks members too."""

import time
from collections.abc import Callable, Sequence
from typing import Final

import click

from hacore import __version__
from hacore.cli.choosing import ROLES, choose
from hacore.cli.client import client_settings, scope_of
from hacore.cli.console import repeat, show
from hacore.cli.members_table import members_sheet, topology_sheet
from hacore.cli.parameters import cluster_argument, format_option, members_arguments, wait_options, watch_options
from hacore.cli.place import Place
from hacore.cli.rest import Answer, MemberApi
from hacore.cli.sheet import Column, Sheet, document
from hacore.cli.site import CommandError, Site, open_site, open_store
from hacore.cli.whole import missing
from hacore.config.client import ClientSettings
from hacore.errors import DcsUnavailableError
from hacore.model.address import host_and_port
from hacore.model.cluster import ClusterView

MakeSheet = Callable[[ClusterView, str], Sheet]

_LOOK_S: Final = 0.5
_TWO_PART: Final = 10  # first major version whose number has two parts


@click.command("list")
@click.argument("clusters", nargs=-1, metavar="[CLUSTER]...")
@click.option("-e", "--extended", is_flag=True, help="Show all columns, also those without a value.")
@click.option("-t", "--timestamp", is_flag=True, help="Show when it was read.")
@format_option
@watch_options
@wait_options("First wait until there is a leader and every member follows it.")
@click.pass_obj
def list_members(
    place: Place,
    clusters: tuple[str, ...],
    form: str,
    every_s: float | None,
    timeout_s: float,
    *,
    extended: bool,
    timestamp: bool,
    often: bool,
    wait: bool,
) -> None:
    """Show the members of a cluster: roles, states, timelines, lags in MB."""
    settings = client_settings(place)
    scopes = [scope_of(settings, name) for name in clusters or (None,)]
    for scope in scopes if wait else ():
        with open_store(settings, scope) as site:
            wait_until_whole(site, timeout_s)

    def draw() -> None:
        if timestamp and form == "pretty":
            click.echo(time.strftime("%Y-%m-%d %H:%M:%S"))
        show(_sheets(settings, scopes, members_sheet), form, everything=extended)

    repeat(draw, every_s, often=often)


@click.command()
@click.argument("clusters", nargs=-1, metavar="[CLUSTER]...")
@format_option
@watch_options
@click.pass_obj
def topology(place: Place, clusters: tuple[str, ...], form: str, every_s: float | None, *, often: bool) -> None:
    """Show the members as a tree: each below the one that it streams from."""
    settings = client_settings(place)
    scopes = [scope_of(settings, name) for name in clusters or (None,)]
    repeat(lambda: show(_sheets(settings, scopes, topology_sheet), form), every_s, often=often)


@click.command()
@cluster_argument
@click.option("-r", "--role", type=click.Choice(ROLES), help="A member in this role; default: the leader.")
@click.option("-m", "--member", metavar="NAME", help="This member.")
@click.pass_obj
def dsn(place: Place, cluster: str | None, role: str | None, member: str | None) -> None:
    """Print how to connect to a member: host and port."""
    if role is not None and member is not None:
        raise click.UsageError("--role and --member exclude each other")
    with open_site(place, cluster) as site:
        view = site.existing()
    try:
        found = choose(view, site.scope, [member] if member else [], "any" if member else role or "leader")
    except CommandError as error:
        raise CommandError("Can not find a suitable member") from error
    reachable = [one.conn_url for one in sorted(found, key=lambda one: not one.is_running) if one.conn_url is not None]
    if not reachable:
        raise CommandError("Can not find a suitable member")
    try:
        host, port = host_and_port(reachable[0])
    except ValueError as error:  # somebody else's record
        raise CommandError(f"Can not find a suitable member: {reachable[0]}: {error}") from error
    click.echo(f"host={host} port={port}")


_VERSIONS: Final = tuple(Column(title=title) for title in ("Cluster", "Member", "hacore", "Patroni", "PostgreSQL", "Error"))


@click.command()
@members_arguments
@format_option
@click.pass_obj
def version(place: Place, cluster: str | None, members: tuple[str, ...], form: str) -> None:
    """Show our own version, and with a cluster's name those of its members."""
    if form == "pretty":
        click.echo(f"hacore version {__version__}")
    if cluster is None:
        if form != "pretty":
            click.echo(__version__ if form == "tsv" else document({"hacore": __version__}, form))
        return
    with open_site(place, cluster) as site:
        view = site.existing()
    with MemberApi(site.settings.ctl) as api:
        rows = [
            {"Cluster": site.scope, "Member": one.name, **_versions(api.ask(one, "GET", "/patroni"))}
            for one in choose(view, site.scope, members)
        ]
    if form != "pretty":
        show([Sheet(columns=_VERSIONS, rows=tuple(rows))], form)
        return
    for row in rows:
        product = f"hacore {row['hacore']}" if "hacore" in row else f"Patroni {row.get('Patroni')}"
        said = f"failed to get version: {row['Error']}" if "Error" in row else f"{product} PostgreSQL {row['PostgreSQL']}"
        click.echo(f"{row['Member']}: {said}")


def wait_until_whole(site: Site, timeout_s: float) -> None:
    """Wait until there is a leader and every member follows it.

    :raises CommandError: it was not so in time.
    """
    ends_at = time.monotonic() + timeout_s
    while True:
        try:
            lacking = missing(site.view())
        except DcsUnavailableError as error:
            lacking = str(error)
        if lacking is None:
            return
        if time.monotonic() >= ends_at:
            raise CommandError(f"Cluster {site.scope} was not whole within {timeout_s:g} s: {lacking}")
        time.sleep(_LOOK_S)


def version_text(number: int) -> str:
    """Write PostgreSQL's version number as people do: 160004 is 16.4, 90624 is 9.6.24."""
    major, rest = divmod(number, 10_000)
    return f"{major}.{rest}" if major >= _TWO_PART else f"{major}.{rest // 100}.{rest % 100}"


def _sheets(settings: ClientSettings, scopes: Sequence[str], make: MakeSheet) -> list[Sheet]:
    sheets = []
    for scope in scopes:
        with open_store(settings, scope) as site:
            sheets.append(make(site.view(), scope))
    return sheets


def _versions(answer: Answer) -> dict[str, str]:
    found = answer.document
    if not found:
        return {"Error": answer.text.strip() if not answer.was_asked else f"it answered {answer.status}"}
    own, field, number = found.get("hacore"), found.get("patroni"), found.get("server_version")
    postgres = {"PostgreSQL": version_text(number) if isinstance(number, int) else "unknown"}
    if isinstance(own, dict) and own.get("version"):
        return {"hacore": str(own["version"]), **postgres}
    return {"Patroni": str(field.get("version", "unknown")) if isinstance(field, dict) else "unknown", **postgres}
