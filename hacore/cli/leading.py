"""``switchover`` and ``failover``: another leader, planned or not (interface reference 9 and 4.6). The members decide; this asks them."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import click

from hacore.cli.choosing import able_to_lead, confirm, leader_of
from hacore.cli.console import show
from hacore.cli.listing import wait_until_whole
from hacore.cli.members_table import members_sheet, topology_sheet
from hacore.cli.moment import ask_time
from hacore.cli.parameters import cluster_argument, force_option, format_option, wait_options
from hacore.cli.place import Place
from hacore.cli.rest import Answer, MemberApi
from hacore.cli.sheet import document, objects
from hacore.cli.site import STORE_S, CommandError, Site, loop_wait_s, open_site
from hacore.control.cluster import is_paused
from hacore.control.switchover import Wish, put_wish, remarks
from hacore.errors import DcsUnavailableError
from hacore.model.cluster import ClusterView, FailoverRequest, Member

_SHORTEST_S: Final = 10.0
_GRACE_S: Final = 15.0
_NO_SUCH_PATH: Final = 501
_WAIT_HELP: Final = "Afterwards wait until every member follows the new leader."


@click.command()
@cluster_argument
@click.option("--leader", "--primary", "leader", metavar="NAME", help="The member that leads now.")
@click.option("--candidate", metavar="NAME", help="The member that shall lead; default: the best.")
@click.option("--scheduled", metavar="TIME", help="When, as 2030-01-31T23:59+00:00; default: now.")
@force_option
@format_option
@wait_options(_WAIT_HELP)
@click.pass_obj
def switchover(
    place: Place,
    cluster: str | None,
    leader: str | None,
    candidate: str | None,
    scheduled: str | None,
    form: str,
    timeout_s: float,
    *,
    force: bool,
    wait: bool,
) -> None:
    """Move the primary in order: nothing is lost, and who leads now goes on as a standby."""
    with open_site(place, cluster) as site:
        view = site.existing()
        holder = leader_of(view)
        if not force and form == "pretty":
            show([topology_sheet(view, site.scope)], form)
        leader = _the_leader(site, holder, leader, asks=not force)
        candidate = _candidate(site, view, candidate, asks=not force, is_needed=is_paused(view))
        at = ask_time(scheduled, "switchover", asks=not force)
        if at is not None and is_paused(view):
            raise CommandError("Can't schedule switchover in the paused state")
        _warn(view, candidate)
        confirm(_question(site.scope, "switchover", holder.name, candidate, at), force=force)
        body = {"leader": leader, "candidate": candidate, "scheduled_at": at.isoformat() if at else None}
        _carry_out(site, view, [holder], "switchover", {key: value for key, value in body.items() if value}, form)
        _conclude(site, form, wait_s=timeout_s if wait and at is None else None)


@click.command()
@cluster_argument
@click.option("--candidate", metavar="NAME", help="The member that shall lead.")
@force_option
@format_option
@wait_options(_WAIT_HELP)
@click.pass_obj
def failover(place: Place, cluster: str | None, candidate: str | None, form: str, timeout_s: float, *, force: bool, wait: bool) -> None:
    """Make a member the primary, also where there is no healthy leader: what only the old one has is lost."""
    with open_site(place, cluster) as site:
        view = site.existing()
        if not force and form == "pretty":
            show([topology_sheet(view, site.scope)], form)
        if candidate is None and force:
            raise click.UsageError("a failover needs --candidate")
        chosen = _candidate(site, view, candidate, asks=not force, is_needed=True)
        _warn(view, chosen)
        confirm(_question(site.scope, "failover", view.leader.name if view.leader else None, chosen, None), force=force)
        asked = dict.fromkeys((view.leader, view.member(chosen) if chosen else None))
        _carry_out(site, view, [one for one in asked if one is not None], "failover", {"candidate": chosen or ""}, form)
        _conclude(site, form, wait_s=timeout_s if wait else None)


def _the_leader(site: Site, holder: Member, given: str | None, *, asks: bool) -> str:
    if given is None:
        word = "Standby Leader" if holder.role == "standby_leader" else "Primary"
        given = str(click.prompt(word, default=holder.name, err=True)) if asks else holder.name
    if given != holder.name:
        raise CommandError(f"Member {given} is not the leader of cluster {site.scope}")
    return given


def _candidate(site: Site, view: ClusterView, given: str | None, *, asks: bool, is_needed: bool) -> str | None:
    able = able_to_lead(view)
    holder = view.lock.holder if view.lock else None
    if given is None and not able:
        raise CommandError("No candidates found to switchover to")
    if given is None and asks:
        given = str(click.prompt(f"Candidate {able}", default="", show_default=False, err=True)) or None
    if given is None:
        if is_needed:
            raise CommandError("It is possible only to a specific candidate: name one with --candidate")
        return None
    if given == holder:
        raise CommandError(f"Member {given} is already the leader of cluster {site.scope}")
    if given not in able:
        raise CommandError(f"Member {given} does not exist in cluster {site.scope} or is tagged as nofailover")
    return given


def _warn(view: ClusterView, candidate: str | None) -> None:
    for one in remarks(view, candidate):
        click.echo(f"Warning: {one}", err=True)


def _question(scope: str, action: str, leader: str | None, candidate: str | None, at: datetime | None) -> str:
    demoted = f", demoting current leader {leader}" if leader else ""
    target = f" to {candidate}" if candidate else ""
    when = f" at {at.isoformat()}" if at else ""
    return f"Are you sure you want to {action} cluster {scope}{target}{demoted}{when}?"


def _carry_out(site: Site, view: ClusterView, members: Sequence[Member], action: str, body: dict[str, str], form: str) -> None:
    answer = Answer(status=0, text="no member can be asked")
    limit_s = 2 * max(_SHORTEST_S, loop_wait_s(view)) + _GRACE_S
    with MemberApi(site.settings.ctl) as api:
        for member in members:
            if answer.is_lost:
                click.echo(f"Warning: {answer.said}; nothing has come of it, {member.name} is asked", err=True)
            answer = api.ask(member, "POST", f"/{action}", body, read_s=limit_s)
            if answer.status == _NO_SUCH_PATH:  # a member of an old release knows one path for both
                answer = api.ask(member, "POST", "/failover", body, read_s=limit_s)
            if not answer.is_lost or not _is_as_before(site, view):
                break
    if answer.is_lost:
        raise CommandError(f"{action.capitalize()} status unknown, see hacore list: {answer.said}; {_standing(site, body)}")
    if not answer.was_asked:
        click.echo(f"Warning: {answer.said}: the wish is written to the store", err=True)
        _write(site, body)
        answer = Answer(status=202, text=f"{action.capitalize()} stands in the store")
    if not answer.is_good:
        raise CommandError(f"{action.capitalize()} failed, details: {answer.status}, {answer.said}")
    if form == "pretty":
        click.echo(f"{datetime.now().astimezone().isoformat(sep=' ', timespec='milliseconds')} {answer.said}")
    else:
        click.get_current_context().meta["hacore.answer"] = answer


def _is_as_before(site: Site, before: ClusterView) -> bool:
    """Tell whether a request whose answer was lost has done nothing yet. A failover done twice is done once: its candidate leads then."""
    try:
        view = site.view()
    except DcsUnavailableError:
        return False
    return view.failover is None and view.lock == before.lock


def _standing(site: Site, body: dict[str, str]) -> str:
    """Say what has become of a wish that a member may have taken. It is not written again: it may have been fulfilled already."""
    try:
        view = site.view()
    except DcsUnavailableError as error:
        return f"the store does not answer either: {error}"
    leads = f"{view.lock.holder} leads" if view.lock else "nobody leads"
    wish = view.failover
    if wish is None:
        return f"no wish stands in the store, {leads}"
    return f"{'the' if _is_same(wish, _wish_of(body)) else 'another'} wish stands in the store, {leads}"


def _wish_of(body: dict[str, str]) -> Wish:
    at = datetime.fromisoformat(body["scheduled_at"]) if "scheduled_at" in body else None
    return Wish(leader=body.get("leader"), candidate=body.get("candidate"), scheduled_at=at)


def _is_same(standing: FailoverRequest, wish: Wish) -> bool:
    return (standing.leader, standing.candidate, standing.scheduled_at) == (wish.leader, wish.candidate, wish.scheduled_at)


def _write(site: Site, body: dict[str, str]) -> None:
    """Put the wish into the store ourselves: whoever leads next, or can, will find it there."""
    view, wish = site.view(), _wish_of(body)
    if view.failover is not None and (view.lock is not None or not _is_same(view.failover, wish)):
        raise CommandError("another switchover or failover stands in the store already")
    if not put_wish(site.dcs, wish, view, lambda: STORE_S):
        raise CommandError("another switchover or failover was written meanwhile")


def _conclude(site: Site, form: str, *, wait_s: float | None) -> None:
    if wait_s is not None:
        wait_until_whole(site, wait_s)
    view = site.view()
    if form == "pretty":
        show([topology_sheet(view, site.scope)], form)
        return
    answer: Answer = click.get_current_context().meta["hacore.answer"]
    sheet = members_sheet(view, site.scope)
    if form == "tsv":
        show([sheet], form)
        return
    leader = view.lock.holder if view.lock else None
    found = {"status": answer.status, "text": answer.said, "leader": leader, "members": objects([sheet])}
    click.echo(document(json.loads(json.dumps(found)), form))
