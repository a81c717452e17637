"""``pause`` and ``resume``: maintenance without automatic actions (interface reference 10.3)."""

import time
from typing import Final

import click

from hacore.cli.outcome import Report
from hacore.cli.parameters import cluster_argument, format_option, wait_options
from hacore.cli.place import Place
from hacore.cli.rest import MemberApi
from hacore.cli.site import CommandError, Site, open_site
from hacore.control.cluster import is_paused
from hacore.errors import DcsUnavailableError

_POLL_S: Final = 0.3


@click.command()
@cluster_argument
@format_option
@wait_options("Wait until every member has taken note.")
@click.pass_obj
def pause(place: Place, cluster: str | None, form: str, timeout_s: float, *, wait: bool) -> None:
    """Stop all automatic actions: no failover, start, stop or wipe until resume."""
    with open_site(place, cluster) as site:
        _change(site, form, wanted=True, wait_s=timeout_s if wait else None)


@click.command()
@cluster_argument
@format_option
@wait_options("Wait until every member has taken note.")
@click.pass_obj
def resume(place: Place, cluster: str | None, form: str, timeout_s: float, *, wait: bool) -> None:
    """Let automatic actions go on."""
    with open_site(place, cluster) as site:
        _change(site, form, wanted=False, wait_s=timeout_s if wait else None)


def _change(site: Site, form: str, *, wanted: bool, wait_s: float | None) -> None:
    view = site.existing()
    if is_paused(view) == wanted:
        raise CommandError("Cluster is already paused" if wanted else "Cluster is not paused")
    report = Report(form)
    asked = [*([view.leader] if view.leader else []), *(one for one in view.members if one is not view.leader)]
    with MemberApi(site.settings.ctl) as api:
        for member in asked:
            answer = api.ask(member, "PATCH", "/config", {"pause": True if wanted else None})
            if answer.was_asked:
                break
            click.echo(f"Warning: {member.name} cannot be asked: {answer.said}", err=True)
        else:
            raise CommandError("no member of the cluster can be asked")
    if answer.is_good and wait_s is not None:
        _wait(site, wanted=wanted, limit_s=wait_s, form=form)
    done = f"Success: cluster management is {'paused' if wanted else 'resumed'}"
    failed = f"Failed: {'pause' if wanted else 'resume'} cluster management, status code={answer.status}, ({answer.said})"
    report.add(member.name, answer, done if answer.is_good else failed)
    report.finish()


def _wait(site: Site, *, wanted: bool, limit_s: float, form: str) -> None:
    """Wait until the records of all members say so.

    :raises CommandError: some did not in time.
    """
    ends_at = time.monotonic() + limit_s
    if form == "pretty":
        click.echo(f"'{'pause' if wanted else 'resume'}' request sent, waiting until it is recognized by all nodes", err=True)
    while True:
        try:
            late = ", ".join(sorted(one.name for one in site.view().members if one.pause != wanted))
        except DcsUnavailableError as error:
            late = f"anybody who could be asked: {error}"
        if not late:
            return
        if time.monotonic() > ends_at:
            raise CommandError(f"not recognized within {limit_s:g} s by {late}")
        time.sleep(_POLL_S)
