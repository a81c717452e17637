"""Addresses as they stand in member records: ``postgres://host:port/database`` and ``http://host:port/patroni``."""

from urllib.parse import urlsplit

POSTGRES_PORT = 5432


def host_and_port(url: str, default_port: int = POSTGRES_PORT) -> tuple[str, int]:
    """Return host (IPv6 without brackets; ``""`` where there is none) and port of ``url``.

    :raises ValueError: the port is not a number.
    """
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or default_port
