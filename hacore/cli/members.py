"""Commands to single members: restart, reload, reinit, flush (interface reference 9)."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import click

from hacore.cli.leading import parse_time
from hacore.cli.listing import show_members
from hacore.cli.rest import ask, status_of
from hacore.cli.site import ROLES, CommandError, Site, config_of, leader_of, open_site
from hacore.model.cluster import Member

_OK: Final = 200
_ACCEPTED: Final = 202
_CONFLICT: Final = 409
_NOT_FOUND: Final = 404
_POLL_S: Final = 1.0
_BUSY: Final = "already in progress"

members_arguments: Callable[[Any], Any] = lambda command: click.argument("cluster")(click.argument("members", nargs=-1)(command))  # noqa: E731
force_option = click.option("--force", is_flag=True, help="Ask nothing.")


@click.command()
@members_arguments
@click.option("-r", "--role", type=click.Choice(list(ROLES)), default="any", show_default=True, help="Only members in this role.")
@click.option("--any", "any_one", is_flag=True, help="Only one of them, the first that fits.")
@click.option("--scheduled", metavar="TIME", help="When; default: now.")
@click.option("--pg-version", help="Only where PostgreSQL is older than this.")
@click.option("--pending", is_flag=True, help="Only where a setting waits for a restart.")
@click.option("--timeout", help="How long a start may take, as 30 or 5min.")
@force_option
@click.pass_context
def restart(
    ctx: click.Context,
    cluster: str,
    members: tuple[str, ...],
    role: str,
    scheduled: str | None,
    pg_version: str | None,
    timeout: str | None,
    *,
    any_one: bool,
    pending: bool,
    force: bool,
) -> None:
    """Restart PostgreSQL on members."""
    with open_site(ctx, cluster) as site:
        chosen = _choose(site, members, role)[: 1 if any_one else None]
        _confirm(site, "restart", chosen, force=force)
        if scheduled is None and not force:
            scheduled = click.prompt("When should the restart take place (e.g. 2030-01-31T23:59)", default="now")
        at = None if scheduled in (None, "now") else parse_time(str(scheduled))
        if at is not None and config_of(site.view()).get("pause") is True:
            raise CommandError("Can't schedule restart in the paused state")
        body: dict[str, Any] = {"schedule": at.isoformat() if at else None, "postgres_version": pg_version, "timeout": timeout}
        body = {name: value for name, value in body.items() if value} | ({"restart_pending": True} if pending else {})
        failed = [member.name for member in chosen if not _restart(site, member, body, force=force)]
    if failed:
        raise CommandError(f"restart failed on {', '.join(failed)}")


@click.command()
@members_arguments
@click.option("-r", "--role", type=click.Choice(list(ROLES)), default="any", show_default=True, help="Only members in this role.")
@force_option
@click.pass_context
def reload(ctx: click.Context, cluster: str, members: tuple[str, ...], role: str, *, force: bool) -> None:
    """Let members read their local configuration again."""
    with open_site(ctx, cluster) as site:
        chosen = _choose(site, members, role)
        _confirm(site, "reload", chosen, force=force)
        wait_s = config_of(site.view()).get("loop_wait", 10)
        failed = []
        for member in chosen:
            answer = ask(site, member, "POST", "/reload")
            if answer.status_code == _OK:
                click.echo(f"No changes to apply on member {member.name}")
            elif answer.status_code == _ACCEPTED:
                click.echo(f"Reload request received for member {member.name} and will be processed within {wait_s} seconds")
            else:
                click.echo(f"Failed: reload for member {member.name}, status code={answer.status_code}, ({answer.text})", err=True)
                failed.append(member.name)
    if failed:
        raise CommandError(f"reload failed on {', '.join(failed)}")


@click.command()
@members_arguments
@click.option("--wait", is_flag=True, help="Wait until the copy is complete.")
@click.option("--from-leader", is_flag=True, help="Copy from the leader, whatever the tags say.")
@force_option
@click.pass_context
def reinit(ctx: click.Context, cluster: str, members: tuple[str, ...], *, wait: bool, from_leader: bool, force: bool) -> None:
    """Throw the data directory of replicas away and create it again."""
    with open_site(ctx, cluster) as site:
        leader = leader_of(site.view())
        if leader is None:
            raise CommandError("Cluster has no leader, can not reinitialize")
        chosen = [member for member in _choose(site, members, "replica") if member.name != leader.name]
        _confirm(site, "reinitialize", chosen, force=force)
        failed = [member.name for member in chosen if not _reinit(site, member, from_leader=from_leader, force=force)]
        if wait:
            for member in chosen:
                _wait_for_copy(site, member)
    if failed:
        raise CommandError(f"reinitialize failed on {', '.join(failed)}")


@click.command()
@click.argument("cluster")
@click.argument("members_then_what", nargs=-1, required=True, metavar="[MEMBERS]... restart|switchover")
@click.option("-r", "--role", type=click.Choice(list(ROLES)), default="any", show_default=True, help="Only members in this role.")
@force_option
@click.pass_context
def flush(ctx: click.Context, cluster: str, members_then_what: tuple[str, ...], role: str, *, force: bool) -> None:
    """Drop what is scheduled: a restart, or the switchover."""
    *members, what = members_then_what
    if what not in {"restart", "switchover"}:
        raise click.UsageError("want restart or switchover at the end")
    with open_site(ctx, cluster) as site:
        if what == "switchover":
            leader = leader_of(site.view())
            if leader is None:
                raise CommandError("This cluster has no leader")
            _drop(site, leader, "/switchover", "scheduled switchover")
            return
        chosen = [member for member in _choose(site, members, role) if member.scheduled_restart]
        if not chosen:
            click.echo("No scheduled restart")
            return
        _confirm(site, "flush restart of", chosen, force=force)
        for member in chosen:
            _drop(site, member, "/restart", f"scheduled restart on member {member.name}")


def _choose(site: Site, names: Sequence[str], role: str) -> list[Member]:
    view = site.view()
    unknown = sorted(set(names) - {member.name for member in view.members})
    if unknown:
        raise CommandError(f"Members {', '.join(unknown)} do not exist in cluster {site.scope}")
    fits = ROLES[role]
    chosen = [member for member in view.members if fits(view, member) and (not names or member.name in names)]
    if not chosen:
        raise CommandError(f"No {role} among provided members" if names else f"No member of cluster {site.scope} is a {role}")
    return chosen


def _confirm(site: Site, action: str, chosen: Sequence[Member], *, force: bool) -> None:
    if not force:
        show_members(site)
        click.confirm(f"Are you sure you want to {action} members {', '.join(member.name for member in chosen)}?", abort=True)


def _restart(site: Site, member: Member, body: dict[str, Any], *, force: bool) -> bool:
    if force and "schedule" in body:
        ask(site, member, "DELETE", "/restart")
    answer = ask(site, member, "POST", "/restart", body)
    if answer.status_code == _OK:
        click.echo(f"Success: restart on member {member.name}")
    elif answer.status_code == _ACCEPTED:
        click.echo(f"Success: restart scheduled on member {member.name}")
    elif answer.status_code == _CONFLICT:
        click.echo(f"Failed: another restart is already scheduled on member {member.name}", err=True)
    else:
        click.echo(f"Failed: restart for member {member.name}, status code={answer.status_code}, ({answer.text})", err=True)
    return answer.status_code in {_OK, _ACCEPTED}


def _reinit(site: Site, member: Member, *, from_leader: bool, force: bool) -> bool:
    body = {name: True for name, wanted in (("from_leader", from_leader), ("force", force)) if wanted}
    answer = ask(site, member, "POST", "/reinitialize", body)
    if answer.status_code != _OK and answer.text.endswith(_BUSY) and not force:
        click.confirm(f"{member.name}: {answer.text}. Cancel it and reinitialize anyway?", abort=True)
        answer = ask(site, member, "POST", "/reinitialize", {**body, "force": True})
    if answer.status_code == _OK:
        click.echo(f"Success: reinitialize for member {member.name}")
        return True
    click.echo(f"Failed: reinitialize for member {member.name}, status code={answer.status_code}, ({answer.text})", err=True)
    return False


def _wait_for_copy(site: Site, member: Member) -> None:
    click.echo(f"Waiting for reinitialize to complete on: {member.name}")
    has_begun = False
    while True:
        found = status_of(site, member) or {}
        has_begun = has_begun or found.get("state") != "running"
        if has_begun and found.get("state") == "running":
            click.echo(f"Reinitialize is completed on: {member.name}")
            return
        time.sleep(_POLL_S)


def _drop(site: Site, member: Member, path: str, what: str) -> None:
    answer = ask(site, member, "DELETE", path)
    if answer.status_code == _OK:
        click.echo(f"Success: {answer.text}")
    elif answer.status_code == _NOT_FOUND:
        click.echo(f"No {what}")
    else:
        raise CommandError(f"{what} was not dropped: {answer.status_code}, {answer.text}")
