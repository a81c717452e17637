"""The journal of this node: what happened, and how long each step of a change of the leader took."""

from pathlib import Path

import click

from hacore.cli.place import place_of
from hacore.cli.show import show_rows
from hacore.config import load
from hacore.plugins.schemas import InstalledSchemas
from hacore.publish.journal import read_journal

_COLUMNS = ("Time", "Event", "Role", "TL", "Token", "Details")


def show_journal(ctx: click.Context, form: str) -> None:
    """Show the events of the node whose configuration this is."""
    local = load(place_of(ctx).path(), place_of(ctx).settings, plugins=InstalledSchemas()).local
    rows = [
        {
            "Time": event.at.astimezone().isoformat(sep=" ", timespec="milliseconds"),
            "Event": str(event.kind),
            "Role": event.role,
            "TL": event.timeline,
            "Token": event.token,
            "Details": ", ".join(f"{name}={value}" for name, value in event.data),
        }
        for event in read_journal(Path(local.guard.state_dir))
    ]
    show_rows(rows, _COLUMNS, form)
