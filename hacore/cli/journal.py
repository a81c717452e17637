"""``history``: the timelines of the cluster from the store, and from this node's own journal how long each change of the primary took."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click

from hacore.cli.console import show
from hacore.cli.parameters import cluster_argument, format_option
from hacore.cli.place import Place
from hacore.cli.sheet import Column, Row, Sheet
from hacore.cli.site import CommandError, open_site
from hacore.config import load
from hacore.errors import HacoreError
from hacore.model.cluster import HistoryLine
from hacore.model.events import Event, EventKind
from hacore.plugins.schemas import InstalledSchemas
from hacore.publish.journal import read_journal


def _without_fraction(value: object) -> str:
    return re.sub(r"\.\d+", "", str(value or ""))


_LINES: Final = (
    Column(title="TL", right=True),
    Column(title="LSN", right=True),
    Column(title="Reason", wraps=True),
    Column(title="Timestamp", text=_without_fraction),
    Column(title="New Leader"),
)
_EVENTS: Final = (
    Column(title="Time"),
    Column(title="Event"),
    Column(title="Role"),
    Column(title="TL", right=True),
    Column(title="Token", right=True, is_wide=True),
    Column(title="Details", wraps=True),
)
_CHANGES: Final = (
    Column(title="Time"),
    Column(title="Change"),
    Column(title="From"),
    Column(title="To"),
    Column(title="Took", right=True),
    Column(title="Steps", wraps=True),
)
_CHANGE_KINDS: Final = frozenset({EventKind.SWITCHOVER, EventKind.FAILOVER, EventKind.HANDED_OVER})
_SHOWN: Final = 10
_UNIT: Final = "_ms"


@click.command()
@cluster_argument
@format_option
@click.option("--events", is_flag=True, help="Show this node's own journal instead: everything that has happened here.")
@click.pass_obj
def history(place: Place, cluster: str | None, form: str, *, events: bool) -> None:
    """Show the timelines of a cluster: where each ended, and who led next.

    On a node, and as its user, also how long each step of the last changes of the primary took there.
    """
    if events:
        show([Sheet(columns=_EVENTS, rows=tuple(map(event_row, _journal(place))))], form)
        return
    with open_site(place, cluster) as site:
        view = site.existing()
    show([Sheet(columns=_LINES, rows=tuple(map(_line_row, view.history or ())))], form)
    if form == "pretty":
        rows = tuple(change_rows(_journal_if_any(place, site.scope)))[-_SHOWN:]
        if rows:
            show([Sheet(columns=_CHANGES, rows=rows, title="Changes of the primary that this node took part in")], form)


def event_row(event: Event) -> Row:
    """Return the row of one event."""
    return {
        "Time": _time(event),
        "Event": str(event.kind),
        "Role": event.role,
        "TL": event.timeline,
        "Token": event.token,
        "Details": ", ".join(f"{name}={value}" for name, value in event.data if value not in (None, "")),
    }


def change_rows(events: Sequence[Event]) -> Iterator[Row]:
    """Yield a row for each change of the primary, with its steps in their order."""
    for event in events:
        if event.kind not in _CHANGE_KINDS:
            continue
        gave_away = event.kind is EventKind.HANDED_OVER
        steps = [(name.removesuffix(_UNIT), value) for name, value in event.data if name.endswith(_UNIT) and name != f"total{_UNIT}"]
        yield {
            "Time": _time(event),
            "Change": str(event.kind).replace("_", " "),
            "From": event.member if gave_away else event.get("previous"),
            "To": event.get("candidate") if gave_away else event.member,
            "Took": f"{event.get(f'total{_UNIT}')} ms",
            "Steps": ", ".join(f"{name} {value}" for name, value in steps),
        }


def _line_row(line: HistoryLine) -> dict[str, Any]:
    return {
        "TL": line.timeline,
        "LSN": int(line.lsn),
        "Reason": line.reason,
        "Timestamp": line.timestamp,
        "New Leader": line.new_leader,
    }


def _time(event: Event) -> str:
    return event.at.astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _journal(place: Place) -> tuple[Event, ...]:
    local = load(place.path(), place.settings, plugins=InstalledSchemas()).local
    directory = Path(local.guard.state_dir)
    if not directory.is_dir():
        raise CommandError(f"{directory}: no node has run here yet, or it is another user's")
    return read_journal(directory)


def _journal_if_any(place: Place, scope: str) -> tuple[Event, ...]:
    """Return the journal of this node, where this is one of that cluster and we may read it."""
    try:
        return tuple(event for event in _journal(place) if event.scope == scope)
    except (HacoreError, CommandError):
        return ()  # this is no node, or not ours: the store has said what there is to say
