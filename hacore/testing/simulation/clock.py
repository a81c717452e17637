"""The boot-time clock of one machine: it starts anew at each boot and runs a little too fast or too slow."""

from datetime import UTC, datetime, timedelta
from typing import Final

from hacore.model.clock import Instant
from hacore.testing.simulation.engine import Engine

_EPOCH: Final = datetime(2030, 1, 1, tzinfo=UTC)


class NodeClock:
    """What one machine believes of time (:class:`hacore.model.clock.Clock`). ``rate``: local seconds in a true one."""

    def __init__(self, engine: Engine, *, rate: float = 1.0, offset: float = 0.0) -> None:
        self._engine = engine
        self._booted_at = engine.now
        self._offset = offset
        self.rate = rate
        self.wall_error_s = 0.0

    def now(self) -> Instant:
        """Return boot-time seconds."""
        return self._offset + (self._engine.now - self._booted_at) * self.rate

    def wall(self) -> datetime:
        """Return what this machine takes for the time of day."""
        return _EPOCH + timedelta(seconds=self._engine.now + self.wall_error_s)

    def to_true(self, instant: Instant) -> float:
        """Return when an instant of this clock is, in true time."""
        return self._booted_at + (instant - self._offset) / self.rate

    def boot(self, offset: float) -> None:
        """Start anew."""
        self._booted_at = self._engine.now
        self._offset = offset
