"""Timelines: which WAL is a prefix of which (safety.md 7; PostgreSQL documentation 26.3.6, "Timelines")."""

from dataclasses import dataclass

from hacore.model.lsn import Lsn


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineSwitch:
    """One line of a timeline history file: ``timeline`` was left at ``switchpoint``."""

    timeline: int
    switchpoint: Lsn
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineHistory:
    """A timeline and those that it descends from, oldest first."""

    timeline: int
    switches: tuple[TimelineSwitch, ...] = ()

    def end_of(self, timeline: int) -> Lsn | None:
        """Return where this history left ``timeline``; ``None`` for its own timeline (no end yet) and for unknown ones."""
        return next((switch.switchpoint for switch in self.switches if switch.timeline == timeline), None)

    def has(self, timeline: int) -> bool:
        """Tell whether ``timeline`` is this one or an ancestor."""
        return timeline == self.timeline or any(switch.timeline == timeline for switch in self.switches)

    def has_prefix(self, timeline: int, lsn: Lsn) -> bool:
        """Tell whether WAL that ends at ``lsn`` on ``timeline`` is a prefix of this history (its own end not considered)."""
        if timeline == self.timeline:
            return True
        end = self.end_of(timeline)
        return end is not None and lsn <= end
