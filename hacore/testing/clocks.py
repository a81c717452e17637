"""A clock for tests of pure code: it stands still unless it is set."""

from dataclasses import dataclass
from datetime import UTC, datetime

from hacore.model.clock import Instant


@dataclass(slots=True)
class SetClock:
    """Implements :class:`hacore.model.clock.Clock`."""

    at: Instant = 100.0

    def now(self) -> Instant:
        """Return what it is set to."""
        return self.at

    def wall(self) -> datetime:
        """Return it as a time of day, counted from 1970."""
        return datetime.fromtimestamp(self.at, UTC)
