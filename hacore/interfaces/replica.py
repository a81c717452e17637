"""What a way to create a standby's data directory offers and answers."""

from dataclasses import dataclass

from hacore.model.lsn import Lsn


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A server to copy from."""

    member: str
    conninfo: str  # libpq connection string of the replication user, without a password
    passfile: str | None = None  # file with the password (libpq, ``PGPASSFILE``)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a replica method would start from. ``None``: it cannot tell."""

    backup_id: str | None = None
    system_id: str | None = None
    timeline: int | None = None
    start_lsn: Lsn | None = None
    size_bytes: int | None = None
    wal_bytes: int | None = None  # to be replayed from there to the leader's position
    wal_limit_bytes: int | None = None  # most that the method's own settings allow; ``None``: the core's limits hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """The data directory is complete. ``restore_settings``: recovery settings that fetch the WAL it still needs."""

    restore_settings: tuple[tuple[str, str], ...] = ()
