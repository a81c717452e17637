"""The timeline that a standby is replaying while nothing streams to it: only a replication connection tells.

The control file learns of a switch late, and a newer history file may lie there without being followed (IDENTIFY_SYSTEM, PostgreSQL
documentation 55.4).
"""

from collections.abc import Mapping
from typing import Final

from hacore.errors import PostgresUnreachableError
from hacore.postgres.connection import Connection

_IDENTIFY: Final = "IDENTIFY_SYSTEM"


class ReplayTimeline:
    """Asks the server itself over one kept connection; used by the loop's thread alone."""

    def __init__(self) -> None:
        self._session: Connection | None = None
        self._dsn: Mapping[str, str] | None = None

    def ask(self, dsn: Mapping[str, str], *, timeout_s: float) -> int | None:
        """Return the timeline; ``None`` where the server does not tell."""
        if self._session is None or dsn != self._dsn:
            self.close()
            self._session, self._dsn = Connection({**dsn, "replication": "database"}), dict(dsn)
        try:
            return int(self._session.query(_IDENTIFY, timeout_s=timeout_s)[0][1])
        except PostgresUnreachableError:
            return None

    def close(self) -> None:
        """Drop the connection: it takes a place of ``max_wal_senders``."""
        if self._session is not None:
            self._session.close()
        self._session = None
