"""``hacore run``: becomes the main process of a node. It loads nothing that would have to be carried along."""

import click

from hacore.cli.place import Place
from hacore.daemon import run as run_node


@click.command()
@click.argument("config", required=False, metavar="[CONFIG]")
@click.pass_obj
def run(place: Place, config: str | None) -> None:
    """Run this node: agent, REST API and guard beside its PostgreSQL.

    CONFIG is a file, a directory of files, or nothing: then the environment says all.

    Exit codes: 0 orderly end, 1 a person must look, 2 the configuration is wrong.
    """
    run_node(place.path(config))
