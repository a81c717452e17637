"""Connection strings of libpq: what stands in them, and how they are written. No secret ever does; those stand in password files."""

from collections.abc import Mapping
from typing import Final

from psycopg2 import ProgrammingError, extensions

from hacore.config.settings import ConnectionSettings

_NEEDS: Final[Mapping[str, int]] = {"sslnegotiation": 17, "sslcertmode": 16, "requirepeer": 13}
_SECRET: Final = frozenset({"password", "sslpassword"})


def format_conninfo(values: Mapping[str, str]) -> str:
    """Write ``name=value`` pairs as libpq reads them."""
    return " ".join(f"{name}={_quoted(value)}" for name, value in values.items())


def parse_conninfo(text: str) -> dict[str, str]:
    """Read a connection string or URL; empty where it is none."""
    try:
        return {name: str(value) for name, value in extensions.parse_dsn(text).items()} if text.strip() else {}
    except ProgrammingError:
        return {}


def options_of(connection: ConnectionSettings, major: int) -> dict[str, str]:
    """Return the user and the keywords of a connection that a server's libpq of this version knows, without secrets."""
    values = {"user": connection.username} if connection.username else {}
    options = {name: value for name, value in connection.options.items() if name not in _SECRET and major >= _NEEDS.get(name, 0)}
    return {**values, **options}


def endpoint(host: str, port: int) -> dict[str, str]:
    """Return the keywords for an address; a host that begins with a slash is a socket's directory."""
    return {"host": host, "port": str(port)}


def _quoted(value: str) -> str:
    if value and not any(mark.isspace() or mark in "'\\" for mark in value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
