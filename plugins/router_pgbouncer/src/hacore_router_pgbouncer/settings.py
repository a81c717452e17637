"""What stands in the section ``pgbouncer``, checked and frozen. Without slots: the schema reads the defaults off the classes."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Database:
    """One database as PgBouncer offers it to clients."""

    name: str  # as clients ask for it
    dbname: str  # as PostgreSQL knows it
    options: str = ""  # further words of its line: ``pool_size=20``


@dataclass(frozen=True, kw_only=True)
class PgbouncerSettings:
    """Settings of the PgBouncer router."""

    consoles: tuple[str, ...]  # connection strings of the admin consoles of this node's PgBouncers, or of those for all nodes
    databases: tuple[Database, ...]  # lead to the primary
    password: str | None = field(default=None, repr=False)  # of the console's user, for all consoles
    databases_file: Path | None = None  # included by pgbouncer.ini; ``None``: it points to an address that follows by itself
    standby_databases: tuple[Database, ...] = ()  # lead to standbys, or to the primary while there is none
    drain_consoles: tuple[str, ...] = ()  # of other nodes' PgBouncers, to be paused with these before a planned switchover
    waits_without_leader: bool = True  # new work waits while nobody takes writes, instead of failing
    timeout_s: float = 2.0  # of one command on a console
