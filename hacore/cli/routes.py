"""``routes``: where each member's routers lead traffic, and what is wrong with them. It asks the members' REST servers."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

from hacore.cli.console import repeat, show
from hacore.cli.members_table import title_of
from hacore.cli.parameters import cluster_argument, format_option, watch_options
from hacore.cli.place import Place
from hacore.cli.rest import MemberApi
from hacore.cli.sheet import Column, Row, Sheet
from hacore.cli.site import open_site

_COLUMNS: Final = (
    Column(title="Member"),
    Column(title="Router"),
    Column(title="Layer", is_wide=True),
    Column(title="State", style=lambda value: "green" if value == "applied" else "yellow"),
    Column(title="Leads To"),
    Column(title="Says", wraps=True),
)


@click.command()
@cluster_argument
@format_option
@watch_options
@click.pass_obj
def routes(place: Place, cluster: str | None, form: str, every_s: float | None, *, often: bool) -> None:
    """Show where each member's routers lead traffic, as they see it, and what they say of themselves."""
    repeat(lambda: _draw(place, cluster, form), every_s, often=often)


def _draw(place: Place, cluster: str | None, form: str) -> None:
    with open_site(place, cluster) as site:
        view = site.existing()
    with MemberApi(site.settings.ctl) as api:
        answers = {one.name: api.ask(one, "GET", "/patroni") for one in view.members}
    rows: list[Row] = []
    for name, answer in sorted(answers.items()):
        rows += rows_of(name, answer.document, answer.said)
    show([Sheet(columns=_COLUMNS, rows=tuple(rows), title=title_of(view, site.scope))], form)


def rows_of(member: str, document: Mapping[str, Any] | None, silence: str) -> Iterator[Row]:
    """Return the rows of one member, from its status document; one row that says why where there is none. Pure."""
    if not document:
        yield {"Member": member, "State": "unknown", "Says": silence}
        return
    own: Mapping[str, Any] = document.get("hacore") or {}
    for name, found in (own.get("routers") or {}).items():
        said = (own.get("plugins") or {}).get(name) or {}
        words = [found["reason"]] if found.get("reason") else [f"{key}: {value}" for key, value in said.items() if value not in (None, "")]
        yield {
            "Member": member,
            "Router": name,
            "Layer": found.get("layer"),
            "State": found.get("state"),
            "Leads To": found.get("target"),
            "Says": "; ".join(words),
        }
