"""``restore``: take a whole cluster back to a point in time, in place. The plan is shown first; the name of the cluster is the yes."""

import sys
import time
from collections.abc import Mapping
from typing import Any, Final

import click
from rich.progress import Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

from hacore.backup.target import parse_target
from hacore.cli.choosing import leader_of
from hacore.cli.console import console_for, say
from hacore.cli.parameters import FORMATS
from hacore.cli.place import Place
from hacore.cli.rest import Answer, MemberApi
from hacore.cli.sheet import document
from hacore.cli.site import CommandError, Site, open_site
from hacore.convert import WrongValueError
from hacore.errors import DcsUnavailableError
from hacore.model.cluster import Member, Restore, RestoreState

_POLL_S: Final = 0.5
_PLAN_S: Final = 40.0
_GIVEN_UP: Final = {
    "latest": "What has not reached the archive when the server has stopped is given up.",
    "immediate": "Everything written after the backup was done is given up.",
}


@click.command()
@click.argument("cluster", required=False, metavar="[CLUSTER]")
@click.option("--to", metavar="TARGET", help="latest, immediate, 2030-01-31T23:59:00+00:00, 0/3000000, xid:NUMBER, name:RESTORE-POINT.")
@click.option("--exclusive", is_flag=True, help="Stop just before the target.")
@click.option("--timeline", default="latest", show_default=True, metavar="latest|current|NUMBER", help="The timeline to follow.")
@click.option("--backup", "backup_id", metavar="ID", help="Begin with this backup; default: the newest before the target.")
@click.option("--discard-old-data", "discard", is_flag=True, help="Do not keep the old directory aside: there is no way back.")
@click.option("--dry-run", is_flag=True, help="Only show the plan.")
@click.option("--cancel", "cancels", is_flag=True, help="End a restore that goes on: the cluster is as it was before.")
@click.option("--confirm", metavar="CLUSTER", help="The name of the cluster, in place of the question.")
@click.option("--no-wait", "leaves", is_flag=True, help="Come back as soon as it has begun.")
@click.option("-f", "--format", "form", type=click.Choice(FORMATS), default="pretty", show_default=True, help="Form of the output.")
@click.pass_obj
def restore(
    place: Place,
    /,
    cluster: str | None,
    form: str,
    *,
    cancels: bool,
    dry_run: bool,
    confirm: str | None,
    leaves: bool,
    **wish: str | bool | None,
) -> None:
    """Take a cluster back to a point in time: every member stops, one restores, the others are made anew from it."""
    if not cancels:
        _check_target(wish)
    with open_site(place, cluster) as site:
        if cancels:
            click.echo(_cancel(site))
            return
        body = _body(wish)
        plan = _ask_leader(site, {**body, "dry_run": True}).document
        if form == "pretty":
            _show(plan)
        if dry_run:
            if form != "pretty":
                click.echo(document(plan, form))
            return
        name = (
            confirm
            if confirm is not None
            else click.prompt("Type the name of the cluster to go on", default="", show_default=False, err=True)
        )
        if name != site.scope:
            raise CommandError(f"{name!r} is not {site.scope}: nothing was done")
        begun = _ask_leader(site, {**body, "confirm": name}).document
        if leaves:
            click.echo(document(begun, form) if form != "pretty" else "the restore begins")
            return
        found = _wait(site, str(begun["id"]), form)
    _tell(found, form)


def _tell(found: Restore, form: str) -> None:
    """Say how it went, and what comes next."""
    if found.state is not RestoreState.DONE:
        raise CommandError(f"the restore has failed{', the cluster is as it was before' if found.keep else ''}: {found.error}")
    if form != "pretty":
        click.echo(document({"state": "done", "timeline": found.timeline}, form))
        return
    click.echo(f"restored, on timeline {found.timeline}")
    if found.keep:
        click.echo(f"{found.member} keeps its old directory beside the new one, as *.before-{found.id[:8]}: remove it once you have looked")
    click.echo("make a backup now: `hacore backup run`")


def _check_target(wish: Mapping[str, Any]) -> None:
    """Refuse what is no target before anybody is asked.

    :raises click.UsageError: it is none.
    """
    if not wish["to"]:
        raise click.UsageError("--to is missing: where shall it go back to?")
    try:
        parse_target(wish["to"], timeline=wish["timeline"])
    except WrongValueError as error:
        raise click.UsageError(f"--to, --timeline: want {error}") from error


def _body(wish: Mapping[str, Any]) -> dict[str, object]:
    found = {
        "to": wish["to"],
        "inclusive": not wish["exclusive"],
        "timeline": wish["timeline"],
        "backup": wish["backup_id"],
        "discard": wish["discard"] or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _show(plan: Mapping[str, Any]) -> None:
    click.echo(f"Cluster {plan['scope']} goes back to {plan['to']}{'' if plan['inclusive'] else ' (exclusive)'}:")
    say("begins with", f"backup {plan['backup']}, done at {plan.get('backup_ended_at') or 'an unknown time'}", title_width=12)
    say("follows", f"timeline {plan['along']}, and begins a new one", title_width=12)
    say("stops", ", ".join([*plan["stops"], plan["member"]]) + "; nobody can connect until it is done", title_width=12)
    say("restores", f"{plan['member']}; the others are rewound or made anew from it", title_width=12)
    kept = "is kept beside the new one, and put back where the restore fails" if plan["keeps_old_directory"] else "IS GIVEN UP: no way back"
    say("old data", f"the directory of {plan['member']} {kept}", title_width=12)
    for remark in plan["remarks"]:
        say("remark", remark, title_width=12)
    click.echo(_GIVEN_UP.get(plan["to"], f"Everything written after {plan['to']} is given up."))


def _wait(site: Site, restore_id: str, form: str) -> Restore:
    """Wait for the end. Interrupted, the restore goes on."""
    try:
        return _watch(site, restore_id, form)
    except KeyboardInterrupt as error:
        raise CommandError("the restore goes on: `hacore list` shows it, `hacore restore --cancel` ends it") from error


def _watch(site: Site, restore_id: str, form: str) -> Restore:
    """Show how far it is."""
    console = console_for(sys.stderr)
    columns: tuple[ProgressColumn, ...] = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with (
        MemberApi(site.settings.ctl) as api,
        Progress(*columns, console=console, transient=True, disable=form != "pretty" or not console.is_terminal) as bar,
    ):
        shown = bar.add_task("begins", total=None)
        while True:
            try:
                view = site.view()
            except DcsUnavailableError as error:
                bar.update(shown, description=f"the store does not answer: {error}")
                time.sleep(_POLL_S)
                continue
            found = view.own.restore if view.own is not None else None
            if found is None or found.id != restore_id:
                raise CommandError("another restore stands in the store")
            if not found.is_active:
                return found
            bar.update(shown, description=_progress(api, view.member(found.member)) or str(found.state))
            time.sleep(_POLL_S)


def _progress(api: MemberApi, member: Member | None) -> str | None:
    if member is None:
        return None
    found = api.ask(member, "GET", "/restore").document.get("progress")
    return found if isinstance(found, str) else None


def _cancel(site: Site) -> str:
    view = site.existing()
    asked = [view.leader] if view.leader is not None else list(view.members)
    said = "no member can be asked"
    with MemberApi(site.settings.ctl) as api:
        for member in asked:
            answer = api.ask(member, "DELETE", "/restore", read_s=_PLAN_S)
            if answer.is_good:
                return answer.said
            said = f"{member.name}: {answer.said}"
            if answer.was_asked:
                break
    raise CommandError(said)


def _ask_leader(site: Site, body: Mapping[str, object]) -> Answer:
    member = leader_of(site.existing())
    with MemberApi(site.settings.ctl) as api:
        answer = api.ask(member, "POST", "/restore", body, read_s=_PLAN_S)
    if not answer.is_good:
        raise CommandError(f"{member.name}: {answer.said}")
    return answer
