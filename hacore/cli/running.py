"""run: become this node's main process. Imports nothing that it would have to carry along."""

import click

from hacore.cli.place import place_of
from hacore.daemon import run as run_node


@click.command()
@click.argument("config", required=False, type=click.Path())
@click.pass_context
def run(ctx: click.Context, config: str | None) -> None:
    """Run this node: agent, REST API and guard beside its PostgreSQL.

    CONFIG is a file, a directory of files, or nothing: then the environment says all.
    """
    ctx.exit(run_node(place_of(ctx).path(config)))
