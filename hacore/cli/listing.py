"""Commands that only look: list, topology, history, dsn, version."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

import click

from hacore import __version__
from hacore.cli.rest import status_of
from hacore.cli.show import console, format_option, show_rows
from hacore.cli.site import ROLES, CommandError, Site, config_of, open_site
from hacore.model.address import host_and_port
from hacore.model.cluster import ClusterView, Member
from hacore.model.lsn import Lsn

_MIB: Final = 1024 * 1024
_COLUMNS: Final = ("Member", "Host", "Role", "State", "TL", "Receive LSN", "Receive Lag", "Replay LSN", "Replay Lag")
_LSN_COLUMNS: Final = ("Receive LSN", "Receive Lag", "Replay LSN")  # what a narrow terminal goes without
_EXTRA: Final = ("Pending restart", "Pending restart reason", "Scheduled restart", "Tags")
_HIDDEN: Final = 50
_WAIT_S: Final = 120.0

cluster_argument = click.argument("cluster", required=False)
watch_options: Callable[[Any], Any] = lambda command: click.option(  # noqa: E731 - two decorators as one
    "-w", "--watch", type=click.FloatRange(min=0.2), metavar="SECONDS", help="Show again and again."
)(click.option("-W", "every_2_s", is_flag=True, help="The same every 2 s.")(command))


@click.command("list")
@click.argument("clusters", nargs=-1)
@click.option("-e", "--extended", is_flag=True, help="Show all columns.")
@click.option("-t", "--timestamp", is_flag=True, help="Show the time.")
@click.option("--wait", is_flag=True, help="Wait until there is a leader and every member runs.")
@format_option
@watch_options
@click.pass_context
def list_members(
    ctx: click.Context,
    clusters: tuple[str, ...],
    form: str,
    watch: float | None,
    *,
    extended: bool,
    timestamp: bool,
    wait: bool,
    every_2_s: bool,
) -> None:
    """Show the members of a cluster."""
    for _ in _again(2.0 if every_2_s else watch):
        for cluster in clusters or (None,):
            with open_site(ctx, cluster) as site:
                if wait:
                    _wait_until_whole(site)
                _list(site, form, extended=extended, timestamp=timestamp)


@click.command()
@cluster_argument
@format_option
@watch_options
@click.pass_context
def topology(ctx: click.Context, cluster: str | None, form: str, watch: float | None, *, every_2_s: bool) -> None:
    """Show the members as a tree: who streams from whom."""
    for _ in _again(2.0 if every_2_s else watch):
        with open_site(ctx, cluster) as site:
            view = site.view()
            _show(site, view, list(_tree(view)), form, extended=False)


@click.command()
@cluster_argument
@format_option
@click.option("--journal", is_flag=True, help="Show this node's journal instead: what happened, and how long each step took.")
@click.pass_context
def history(ctx: click.Context, cluster: str | None, form: str, *, journal: bool) -> None:
    """Show the timelines of a cluster: when each ended, and who led next."""
    if journal:
        from hacore.cli.journal import show_journal  # noqa: PLC0415 - only where it is asked for

        show_journal(ctx, form)
        return
    with open_site(ctx, cluster) as site:
        lines = site.view().history or ()
    rows = [
        {"TL": line.timeline, "LSN": int(line.lsn), "Reason": line.reason, "Timestamp": line.timestamp, "New Leader": line.new_leader}
        for line in lines
    ]
    show_rows(rows, ("TL", "LSN", "Reason", "Timestamp", "New Leader"), form)


@click.command()
@cluster_argument
@click.option("-r", "--role", type=click.Choice(list(ROLES)), help="Any member in this role; default: the leader.")
@click.option("-m", "--member", help="This member.")
@click.pass_context
def dsn(ctx: click.Context, cluster: str | None, role: str | None, member: str | None) -> None:
    """Print how a member's PostgreSQL is reached."""
    if role is not None and member is not None:
        raise click.UsageError("--role and --member exclude each other")
    with open_site(ctx, cluster) as site:
        view = site.view()
    fits = ROLES[role or "leader"]
    found = view.member(member) if member else next((one for one in view.members if fits(view, one) and one.is_running), None)
    if found is None or found.conn_url is None:
        raise CommandError("Can not find a suitable member")
    host, port = host_and_port(found.conn_url)
    click.echo(f"host={host} port={port}")


@click.command()
@cluster_argument
@click.argument("members", nargs=-1)
@click.pass_context
def version(ctx: click.Context, cluster: str | None, members: tuple[str, ...]) -> None:
    """Print the version of this command and, with a cluster, those of its members."""
    click.echo(f"hacore version {__version__}")
    if cluster is None:
        return
    with open_site(ctx, cluster) as site:
        for member in site.view().members:
            if members and member.name not in members:
                continue
            found = status_of(site, member)
            if found is None:
                click.echo(f"{member.name}: failed to get version: it does not answer")
                continue
            own = found.get("hacore", {}).get("version")
            product = f"hacore {own}" if own else f"Patroni {found.get('patroni', {}).get('version', '?')}"
            click.echo(f"{member.name}: {product} PostgreSQL {_server_version(found.get('server_version'))}")


def show_members(site: Site) -> None:
    """Show the members, as an action does before and after."""
    _list(site, "pretty", extended=False, timestamp=False)


def _list(site: Site, form: str, *, extended: bool, timestamp: bool) -> None:
    view = site.view()
    if timestamp and form == "pretty":
        click.echo(datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"))
    _show(site, view, [(member.name, member) for member in sorted(view.members, key=lambda one: one.name)], form, extended=extended)


def _show(site: Site, view: ClusterView, members: list[tuple[str, Member]], form: str, *, extended: bool) -> None:
    rows = [{"Cluster": site.scope, **_row(view, name, member)} for name, member in members]
    extra = [name for name in _EXTRA if extended or any(row.get(name) for row in rows)]
    columns = (*(() if form == "pretty" else ("Cluster",)), *_COLUMNS, *extra)
    title = f"Cluster: {site.scope} ({_state_of(view)})"
    show_rows(rows, columns, form, title=title, optional=_LSN_COLUMNS)
    if form == "pretty":
        for line in _footer(view):
            console().print(line, markup=False)


def _row(view: ClusterView, name: str, member: Member) -> dict[str, Any]:
    leads = view.lock is not None and view.lock.holder == member.name
    host, port = host_and_port(member.conn_url) if member.conn_url else ("", 5432)
    row: dict[str, Any] = {
        "Member": name,
        "Host": f"{host}:{port}" if member.conn_url else "",
        "Role": ("Standby Leader" if member.role == "standby_leader" else "Leader") if leads else "Replica",
        "State": member.state if leads else member.replication_state or member.state,
        "TL": member.timeline,
        "Pending restart": "*" if member.pending_restart else None,
        "Pending restart reason": "\n".join(_reason(*one) for one in member.pending_restart_reason),
        "Scheduled restart": member.scheduled_restart,
        "Tags": dict(member.tags.published),
    }
    if not leads:
        row |= _lags(view.status.optime, member)
    return row


def _lags(optime: Lsn | None, member: Member) -> dict[str, Any]:
    received, replayed = member.receive_lsn or member.lsn, member.replay_lsn or member.lsn
    return {
        "Receive LSN": str(received) if received is not None else "unknown",
        "Receive Lag": _lag(optime, received),
        "Replay LSN": str(replayed) if replayed is not None else "unknown",
        "Replay Lag": _lag(optime, replayed),
    }


def _lag(optime: Lsn | None, lsn: Lsn | None) -> int | str:
    return "unknown" if optime is None or lsn is None else round(max(0, optime - lsn) / _MIB)


def _reason(setting: str, old: str, new: str) -> str:
    change = f"{old}->{new}"
    return f"{setting}: {change if len(change) <= _HIDDEN else '[hidden - too long]'}"


def _state_of(view: ClusterView) -> str:
    return "uninitialized" if view.initialize is None else view.initialize or "initializing"


def _footer(view: ClusterView) -> Iterator[str]:
    if view.config is not None and config_of(view).get("pause") is True:
        yield " Maintenance mode: on"
    wish = view.failover
    if wish is not None and wish.scheduled_at is not None:
        yield f" Switchover scheduled at: {wish.scheduled_at.isoformat()}"
        yield from (f"{label:>24}: {name}" for label, name in (("from", wish.leader), ("to", wish.candidate)) if name)
    for member in view.members:
        if member.unsupported:
            yield f" Ignored by {member.name}: {'; '.join(member.unsupported)}"


def _tree(view: ClusterView) -> Iterator[tuple[str, Member]]:
    known = {member.name for member in view.members}
    leader = view.lock.holder if view.lock else None

    def above(member: Member) -> str | None:
        if member.name == leader:
            return None
        named = member.tags.replicatefrom
        return named if named in known and named != member.name else leader

    def walk(parent: str | None, depth: int, seen: frozenset[str]) -> Iterator[tuple[str, Member]]:
        for member in sorted(view.members, key=lambda one: one.name):
            if above(member) == parent and member.name not in seen:
                yield f"{'  ' * (depth - 1)}+ {member.name}" if depth else member.name, member
                yield from walk(member.name, depth + 1, seen | {member.name})

    shown = list(walk(None, 0, frozenset()))
    yield from shown
    missing = known - {member.name for _, member in shown}
    yield from ((member.name, member) for member in view.members if member.name in missing)


def _server_version(number: object) -> str:
    if not isinstance(number, int):
        return "unknown"
    return f"{number // 10000}.{number % 10000}"


def _again(every_s: float | None) -> Iterator[None]:
    yield
    while every_s is not None:
        time.sleep(every_s)
        if console().is_terminal:
            click.clear()
        yield


def _wait_until_whole(site: Site) -> None:
    """Wait for a leader and for members that all run.

    :raises CommandError: it took too long.
    """
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        view = site.view()
        if view.leader is not None and view.leader.role in {"primary", "standby_leader"} and all(one.is_running for one in view.members):
            return
        time.sleep(0.2)
    raise CommandError(f"the cluster was not whole within {_WAIT_S:.0f} s")
