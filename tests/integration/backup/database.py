"""What tests of restores write, so that they can tell which point in time came back."""

from datetime import UTC, datetime
from typing import Any

from hacore.testing.cluster import ClusterNode
from hacore.testing.waiting import wait_for
from tests.integration.backup.conftest import Backups

_DEADLINE_S = 30.0


def query(node: ClusterNode, sql: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
    """Ask a node's server."""
    return node.query(sql, values, deadline_s=_DEADLINE_S)


def rows(node: ClusterNode) -> list[int]:
    """What stands in the table."""
    return [row[0] for row in query(node, "SELECT i FROM t ORDER BY 1")]


def write(node: ClusterNode, number: int) -> datetime:
    """Write a row; answer a time after it and before the next one."""
    query(node, "INSERT INTO t VALUES (%s)", (number,))
    ((at, _),) = query(node, "SELECT clock_timestamp() + interval '50 ms', pg_sleep(0.2)::text")  # the next row is later for certain
    found: datetime = at
    return found.astimezone(UTC)


def archived(backups: Backups, node: ClusterNode) -> None:
    """Have everything that was written so far in the archive."""
    ((name,),) = query(node, "SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
    query(node, "SELECT pg_logical_emit_message(true, 'test', 'something')")
    query(node, "SELECT pg_switch_wal()")
    wait_for((backups.repository / "wal" / str(name)).exists, f"{name} is archived")
