"""run: become this node's main process. Imports nothing that it would have to carry along."""

import click

from hacore.daemon import run as run_node


@click.command()
@click.argument("config", required=False, type=click.Path())
def run(config: str | None) -> int:
    """Run this node: agent, REST API and guard beside its PostgreSQL.

    CONFIG is a file, a directory of files, or nothing: then the environment says all.
    """
    return run_node(config)
