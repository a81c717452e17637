"""Arguments and options that several commands share."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from hacore.cli.choosing import ROLES

F = TypeVar("F", bound=Callable[..., Any])

FORMATS: Final = ("pretty", "tsv", "json", "yaml", "yml")


def cluster_argument(command: F) -> F:
    """Take a cluster's name, which may be left out."""
    return click.argument("cluster", required=False, metavar="[CLUSTER]")(command)


def members_arguments(command: F) -> F:
    """Take a cluster's name and names of members; without any: the configured cluster, and every member."""
    return cluster_argument(click.argument("members", nargs=-1, metavar="[MEMBER]...")(command))


def format_option(command: F) -> F:
    """Take a form of output."""
    form = click.Choice(FORMATS)
    return click.option("-f", "--format", "form", type=form, default="pretty", show_default=True, help="Form of the output.")(command)


def long_format_option(command: F) -> F:
    """Take a form of output where ``-f`` is something else in the field."""
    form = click.Choice(FORMATS)
    return click.option("--format", "form", type=form, default="pretty", show_default=True, help="Form of the output.")(command)


def force_option(command: F) -> F:
    """Take the consent to everything that would be asked."""
    return click.option("--force", is_flag=True, help="Ask nothing.")(command)


def role_option(command: F) -> F:
    """Take the role of the members that are meant."""
    choice = click.Choice(ROLES)
    return click.option("-r", "--role", type=choice, default="any", show_default=True, help="Only members in this role.")(command)


def watch_options(command: F) -> F:
    """Take the wish to see it again and again."""
    often = click.option("-W", "often", is_flag=True, help="The same, every 2 seconds.")
    every = click.option("-w", "--watch", "every_s", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Show it again and again.")
    return every(often(command))


def wait_options(help_text: str) -> Callable[[F], F]:
    """Return what takes the wish to wait, and for how long at most."""

    def take(command: F) -> F:
        limit = click.option(
            "--timeout",
            "timeout_s",
            type=click.FloatRange(min=0),
            default=120,
            metavar="SECONDS",
            help="Wait at most so long (120).",
        )
        return click.option("--wait", is_flag=True, help=help_text)(limit(command))

    return take
