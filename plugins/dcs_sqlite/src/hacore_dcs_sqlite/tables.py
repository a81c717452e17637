"""The tables of the embedded store, and every statement that reads or writes them. Called inside a transaction.

What has ended (a lock or a member's record, by its instant or by a reboot) counts as absent everywhere. Knows no file and no thread.
"""

import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from hacore.interfaces import Put
from hacore.model.clock import Instant
from hacore.model.lease import Lock

MEMBERS: Final = "members/"
SCRIPT: Final = """
CREATE TABLE IF NOT EXISTS store (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL);
INSERT OR IGNORE INTO store VALUES (1, 0);
CREATE TABLE IF NOT EXISTS record (cluster TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, version INTEGER NOT NULL,
    ends_at REAL, boot_id TEXT, PRIMARY KEY (cluster, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lock (instance INTEGER PRIMARY KEY AUTOINCREMENT, cluster TEXT NOT NULL UNIQUE, holder TEXT NOT NULL,
    ends_at REAL NOT NULL, boot_id TEXT NOT NULL)
"""
_LOCK: Final = """SELECT instance, holder, ends_at FROM lock
WHERE cluster = :cluster AND boot_id = :boot_id AND ends_at > :now"""
_RECORDS: Final = """SELECT name, value, version FROM record
WHERE cluster = :cluster AND (ends_at IS NULL OR (boot_id = :boot_id AND ends_at > :now)) ORDER BY name"""
_RECORD: Final = """SELECT value, version FROM record
WHERE cluster = :cluster AND name = :name AND (ends_at IS NULL OR (boot_id = :boot_id AND ends_at > :now))"""
_PUT: Final = "INSERT OR REPLACE INTO record VALUES (:cluster, :name, :value, :version, :ends_at, :ends_in_boot)"
_TAKE: Final = "INSERT INTO lock (instance, cluster, holder, ends_at, boot_id) VALUES (:instance, :cluster, :holder, :ends_at, :boot_id)"
_INSTANCE_BITS: Final = 62  # what the column takes, and room for those who count on from the largest
_PROLONG: Final = """UPDATE record SET ends_at = :ends_at
WHERE cluster = :cluster AND name = :name AND boot_id = :boot_id AND ends_at > :now"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One record as it stands."""

    name: str
    value: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The rows of one cluster at one instant."""

    connection: sqlite3.Connection
    cluster: str
    boot_id: str
    now: Instant

    def revision(self) -> int:
        """Return how many transactions have written to the store."""
        (revision,) = self._select("SELECT revision FROM store")[0]
        return int(revision)

    def lock(self) -> Lock | None:
        """Return the lock, if it is held and has not expired."""
        rows = self._select(_LOCK)
        return Lock(instance=str(rows[0][0]), holder=rows[0][1]) if rows else None

    def lock_ends_at(self) -> Instant | None:
        """Return when the lock expires unless it is renewed."""
        rows = self._select(_LOCK)
        return float(rows[0][2]) if rows else None

    def rows(self) -> list[Row]:
        """Return all records, the members' among them."""
        return [Row(name=name, value=value, version=version) for name, value, version in self._select(_RECORDS)]

    def compares(self, puts: Iterable[Put]) -> bool:
        """Tell whether every version that the puts expect still stands."""
        return all(self._version(put.name) == put.expected for put in puts if put.expected is not None)

    def write(self, puts: Iterable[Put], *, ends_at: Instant | None = None) -> tuple[int, ...]:
        """Write the records; the versions they have now, 0 for those deleted."""
        self._execute("UPDATE store SET revision = revision + 1")
        version = self.revision()
        written = []
        for put in puts:
            if put.value is None:
                self._execute("DELETE FROM record WHERE cluster = :cluster AND name = :name", name=put.name)
            else:
                ends_in_boot = None if ends_at is None else self.boot_id
                self._execute(_PUT, name=put.name, value=put.value, version=version, ends_at=ends_at, ends_in_boot=ends_in_boot)
            written.append(0 if put.value is None else version)
        return tuple(written)

    def take_lock(self, holder: str, ends_at: Instant) -> Lock:
        """Put a new lock in the place of whatever stands there. Its instance is random: what counts begins anew in a new file."""
        self.remove_lock()
        instance = secrets.randbits(_INSTANCE_BITS)
        self._execute(_TAKE, instance=instance, holder=holder, ends_at=ends_at)
        return Lock(instance=str(instance), holder=holder)

    def prolong_lock(self, ends_at: Instant) -> None:
        """Move the end of the lock that stands."""
        self._execute("UPDATE lock SET ends_at = :ends_at WHERE cluster = :cluster", ends_at=ends_at)

    def remove_lock(self) -> None:
        """Remove the lock; its instance is never used again."""
        self._execute("DELETE FROM lock WHERE cluster = :cluster")

    def prolong_record(self, name: str, ends_at: Instant) -> None:
        """Move the end of a record that ends with its owner."""
        self._execute(_PROLONG, name=name, ends_at=ends_at)

    def value(self, name: str) -> str | None:
        """Return the value of one record."""
        rows = self._select(_RECORD, name=name)
        return str(rows[0][0]) if rows else None

    def _version(self, name: str) -> int:
        rows = self._select(_RECORD, name=name)
        return int(rows[0][1]) if rows else 0

    def _select(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        return self._execute(statement, **values).fetchall()

    def _execute(self, statement: str, **values: object) -> sqlite3.Cursor:
        return self.connection.execute(statement, {"cluster": self.cluster, "boot_id": self.boot_id, "now": self.now} | values)
