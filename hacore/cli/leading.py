"""switchover and failover: another leader, planned or by force (interface reference 9 and 4.6)."""

from datetime import datetime
from typing import Final

import click

from hacore.cli.listing import cluster_argument, show_members
from hacore.cli.rest import ask
from hacore.cli.site import CommandError, Site, config_of, open_site
from hacore.interfaces import Put, Refused, WriteRequest
from hacore.model.cluster import ClusterView, Member
from hacore.records import names
from hacore.records.failover import failover_json

_TIME_FORMATS: Final = ("%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S")
_DONE: Final = frozenset({200, 202})


@click.command()
@cluster_argument
@click.option("--leader", "--primary", "leader", help="The current leader; asked for where it is not given.")
@click.option("--candidate", help="The member that shall lead; default: the best one.")
@click.option("--scheduled", metavar="TIME", help="When, as 2030-01-31T23:59+00:00; default: now.")
@click.option("--force", is_flag=True, help="Ask nothing.")
@click.pass_context
def switchover(
    ctx: click.Context, cluster: str | None, leader: str | None, candidate: str | None, scheduled: str | None, *, force: bool
) -> None:
    """Hand the lead over from a healthy primary: nothing is lost."""
    with open_site(ctx, cluster) as site:
        view = site.view()
        if view.lock is None:
            raise CommandError("This cluster has no leader")
        show_members(site)
        holder = view.lock.holder
        asks = not force
        if leader is None:
            leader = click.prompt("Primary", default=holder) if asks else holder
        if leader != holder:
            raise CommandError(f"Member {leader} is not the leader of cluster {site.scope}")
        candidate = _candidate(site, view, candidate, ask_for_it=asks)
        at = _when(scheduled, ask_for_it=asks)
        if at is not None and config_of(view).get("pause") is True:
            raise CommandError("Can't schedule switchover in the paused state")
        if asks:
            when = f" at {at.isoformat()}" if at else ""
            click.confirm(f"Are you sure you want to switchover cluster {site.scope}, demoting current leader {leader}{when}?", abort=True)
        body = {"leader": leader, "candidate": candidate, "scheduled_at": at.isoformat() if at else None}
        _carry_out(site, view, view.leader, "switchover", {name: value for name, value in body.items() if value})


@click.command()
@cluster_argument
@click.option("--candidate", help="The member that shall lead; asked for where it is not given.")
@click.option("--force", is_flag=True, help="Ask nothing.")
@click.pass_context
def failover(ctx: click.Context, cluster: str | None, candidate: str | None, *, force: bool) -> None:
    """Make a member the leader whatever it lacks: commits may be lost."""
    with open_site(ctx, cluster) as site:
        view = site.view()
        show_members(site)
        if candidate is None and force:
            raise click.UsageError("--candidate is needed with --force")
        candidate = _candidate(site, view, candidate, ask_for_it=not force)
        if not candidate:
            raise CommandError("Failover could be performed only to a specific candidate")
        if not force:
            click.confirm(f"Are you sure you want to failover cluster {site.scope}, commits may be lost?", abort=True)
        _carry_out(site, view, view.leader or view.member(candidate), "failover", {"candidate": candidate})


def _candidate(site: Site, view: ClusterView, given: str | None, *, ask_for_it: bool) -> str | None:
    holder = view.lock.holder if view.lock else None
    able = sorted(member.name for member in view.members if member.name != holder and member.tags.may_lead)
    if not able:
        raise CommandError("No candidates found to switchover to")
    if given is None and ask_for_it:
        given = click.prompt(f"Candidate {able}", default="", show_default=False) or None
    if given is None:
        return None
    if given == holder:
        raise CommandError(f"Member {given} is already the leader of cluster {site.scope}")
    if given not in able:
        raise CommandError(f"Member {given} does not exist in cluster {site.scope} or is tagged as nofailover")
    return given


def _when(given: str | None, *, ask_for_it: bool) -> datetime | None:
    if given is None and ask_for_it:
        given = click.prompt("When should the switchover take place (e.g. 2030-01-31T23:59)", default="now")
    if given in (None, "now"):
        return None
    return parse_time(str(given))


def parse_time(text: str) -> datetime:
    """Read a time; one without a zone is of this machine's zone.

    :raises click.UsageError: it cannot be read.
    """
    for form in (None, *_TIME_FORMATS):
        try:
            found = datetime.fromisoformat(text) if form is None else datetime.strptime(text, form)  # noqa: DTZ007 - the zone follows
        except ValueError:
            continue
        return found if found.tzinfo else found.astimezone()
    raise click.UsageError(f"{text!r} is not a time; wanted is one like 2030-01-31T23:59+00:00")


def _carry_out(site: Site, view: ClusterView, member: Member | None, action: str, body: dict[str, str]) -> None:
    if member is None:
        raise CommandError("no member can be asked")
    try:
        answer = ask(site, member, "POST", f"/{action}", body)
    except CommandError as error:
        click.echo(f"{error.message}; the request is written to the store instead", err=True)
        _write(site, view, body)
        return
    if answer.status_code not in _DONE:
        raise CommandError(f"{action.capitalize()} failed, details: {answer.status_code}, {answer.text}")
    click.echo(f"{datetime.now().astimezone().isoformat(sep=' ', timespec='milliseconds')} {answer.text}")
    show_members(site)


def _write(site: Site, view: ClusterView, body: dict[str, str]) -> None:
    at = datetime.fromisoformat(body["scheduled_at"]) if "scheduled_at" in body else None
    value = failover_json(leader=body.get("leader"), candidate=body.get("candidate"), scheduled_at=at)
    put = Put(name=names.FAILOVER, value=value, expected=view.failover.version if view.failover else None)
    if isinstance(site.dcs.write(WriteRequest(puts=(put,)), timeout_s=5.0), Refused):
        raise CommandError("another request was written meanwhile")
    click.echo("The request stands in the store")
