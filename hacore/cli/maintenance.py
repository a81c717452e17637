"""pause and resume: maintenance without automatic actions (interface reference 10.3)."""

import time
from typing import Final

import click

from hacore.cli.listing import cluster_argument
from hacore.cli.rest import ask
from hacore.cli.site import CommandError, Site, config_of, leader_of, open_site

_OK: Final = 200
_POLL_S: Final = 0.3
_GRACE_S: Final = 5.0

wait_option = click.option("--wait", is_flag=True, help="Wait until every member has taken note.")


@click.command()
@cluster_argument
@wait_option
@click.pass_context
def pause(ctx: click.Context, cluster: str | None, *, wait: bool) -> None:
    """Stop automatic actions: no failover, start, stop or wipe until resume."""
    with open_site(ctx, cluster) as site:
        _change(site, wanted=True, wait=wait)


@click.command()
@cluster_argument
@wait_option
@click.pass_context
def resume(ctx: click.Context, cluster: str | None, *, wait: bool) -> None:
    """Let automatic actions begin again."""
    with open_site(ctx, cluster) as site:
        _change(site, wanted=False, wait=wait)


def _change(site: Site, *, wanted: bool, wait: bool) -> None:
    view = site.view()
    config = config_of(view)
    if (config.get("pause") is True) == wanted:
        raise CommandError("Cluster is already paused" if wanted else "Cluster is not paused")
    leader = leader_of(view)
    asked = [leader] if leader else [member for member in view.members if member.api_url]
    for member in asked:
        answer = ask(site, member, "PATCH", "/config", {"pause": True if wanted else None})
        if answer.status_code == _OK:
            break
        click.echo(f"Failed: {member.name}: {answer.status_code}, {answer.text}", err=True)
    else:
        raise CommandError("no member took the request")
    if wait:
        _wait(site, wanted=wanted, limit_s=2 * float(config.get("loop_wait", 10)) + _GRACE_S)
    click.echo(f"Success: cluster management is {'paused' if wanted else 'resumed'}")


def _wait(site: Site, *, wanted: bool, limit_s: float) -> None:
    """Wait until the records of all members say so.

    :raises CommandError: some did not in time.
    """
    deadline = time.monotonic() + limit_s
    while True:
        late = [member.name for member in site.view().members if member.pause != wanted]
        if not late:
            return
        if time.monotonic() > deadline:
            raise CommandError(f"not noted yet by: {', '.join(sorted(late))}")
        time.sleep(_POLL_S)
