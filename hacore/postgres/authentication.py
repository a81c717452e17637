"""The lines of pg_hba.conf that we write where the configuration gives none. Pure."""

from collections.abc import Sequence
from typing import Final

from hacore.config.settings import AuthenticationSettings

_SCRAM: Final = "scram-sha-256"
_EVERYWHERE: Final = ("0.0.0.0/0", "::/0")
_HERE: Final = ("127.0.0.1/32", "::1/128")


def minimal_hba(authentication: AuthenticationSettings) -> tuple[str, ...]:
    """Return what a cluster needs of itself: sessions from this machine, replication and rewind from the others.

    Without a password nobody is let in from elsewhere, and everybody from here.
    """
    local = _SCRAM if authentication.superuser.password else "trust"
    lines = [f"local all all {local}", f"local replication all {local}"]
    for network in _HERE:
        lines += [f"host all all {network} {local}", f"host replication all {network} {local}"]
    remote = ((authentication.replication, "replication"), (authentication.rewind, "all"))
    for connection, database in remote:
        if connection.username and connection.password:
            lines += [f"host {database} {_name(connection.username)} {network} {_SCRAM}" for network in _EVERYWHERE]
    return tuple(dict.fromkeys(lines))


def with_lines(text: str, lines: Sequence[str]) -> tuple[str, ...]:
    """Return the lines of a file with others at their end, without ours of an earlier time."""
    there = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return (*there, *(line for line in lines if line not in there))


def _name(user: str) -> str:
    return '"' + user.replace('"', '""') + '"'
