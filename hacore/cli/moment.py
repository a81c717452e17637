"""Times as people write them for what is to happen later."""

from datetime import datetime
from typing import Final

import click

EXAMPLE: Final = "2030-01-31T23:59+00:00"
NOW: Final = "now"


def parse_time(text: str) -> datetime | None:
    """Read a time; ``None`` for ``now``. One without a zone is of this machine's zone.

    :raises click.UsageError: it cannot be read.
    """
    if text.strip() in {"", NOW}:
        return None
    try:
        found = datetime.fromisoformat(text.strip())
        return found if found.tzinfo else found.astimezone()
    except (ValueError, OverflowError) as error:  # also where this machine's zone makes it earlier or later than any time there is
        raise click.UsageError(f"{text!r} is not a time, want one like {EXAMPLE}") from error


def ask_time(given: str | None, what: str, *, asks: bool) -> datetime | None:
    """Return when it shall happen: as given, else as answered, else now."""
    if given is None and asks:
        given = click.prompt(f"When should the {what} take place (e.g. {EXAMPLE})", default=NOW, err=True)
    return None if given is None else parse_time(given)
