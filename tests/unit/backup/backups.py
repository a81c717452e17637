"""Backups as a tool lists them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hacore.interfaces import Backup
from hacore.model.lsn import Lsn

NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)
SYSTEM_ID = "7310000000000000001"


def backup(name: str, days_ago: float = 1.0, **fields: Any) -> Backup:
    """A good full one of this cluster on timeline 1; its position grows with its time."""
    stopped = NOW - timedelta(days=days_ago)
    lsn = Lsn((1000 - int(days_ago)) * 16_000_000)
    values: dict[str, Any] = {
        "started_at": stopped - timedelta(minutes=10),
        "stopped_at": stopped,
        "start_lsn": Lsn(lsn - 1000),
        "stop_lsn": lsn,
        "timeline": 1,
        "system_id": SYSTEM_ID,
    }
    return Backup(id=name, **{**values, **fields})
