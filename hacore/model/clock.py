"""The one clock of all lease arithmetic."""

import time
from datetime import UTC, datetime
from typing import Protocol

Instant = float  # seconds of the boot-time clock: monotonic, counts suspension (clock_gettime(2), CLOCK_BOOTTIME)


class Clock(Protocol):
    """What may be asked about time. The simulator brings its own."""

    def now(self) -> Instant:
        """Return boot-time seconds: the only clock of leases and deadlines."""

    def wall(self) -> datetime:
        """Return the time of day in UTC: for people, schedules and logs, never for a lease."""


class BootClock:
    """The clock of this machine."""

    def now(self) -> Instant:
        """Return boot-time seconds."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall(self) -> datetime:
        """Return the time of day in UTC."""
        return datetime.now(UTC)
