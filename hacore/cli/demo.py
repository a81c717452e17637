"""``hacore demo``: three nodes on this machine, to look at and to hurt."""

import sys
from typing import NoReturn

import click

from hacore.demo import run
from hacore.errors import HacoreError


@click.command()
@click.option("--scripted", is_flag=True, help="Show a fixed sequence, and judge it by the exit code; needs no terminal.")
@click.option(
    "--format", "form", type=click.Choice(["pretty", "json"]), default="pretty", help="json: one document at the end; is --scripted."
)
def demo(form: str, *, scripted: bool) -> NoReturn:
    """Let three PostgreSQL servers become one cluster here, lose their primary and elect another.

    On a terminal it is a live view, with keys that kill, freeze and switch over; elsewhere it is --scripted.
    """
    try:
        code = run(scripted, form)
    except HacoreError as error:
        raise click.ClickException(str(error)) from error
    sys.exit(code)
