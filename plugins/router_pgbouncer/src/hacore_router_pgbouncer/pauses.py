"""Letting go what waits at a PgBouncer. It does not know who leads, nor why something was paused.

Nothing at a PgBouncer tells whose PAUSE it is. What we have seen going on, and have not paused since, is a person's, or another agent's
that knows more than we do. What a process before this one may have left counts as ours, or clients could wait for ever.
"""

import logging
from typing import Final

from hacore.model.clock import Clock, Instant
from hacore_router_pgbouncer.bouncer import Bouncer

logger = logging.getLogger(__name__)

_LONG_S: Final = 20.0  # what is paused for so long and needs not: another node's PgBouncer has lost its agent, ours its way


class Pauses:
    """Those of one PgBouncer."""

    def __init__(self, bouncer: Bouncer) -> None:
        self._bouncer = bouncer
        self._seen_paused_at: Instant | None = None
        self.may_be_ours = True  # what waits there may wait because of us

    def expect(self) -> None:
        """Take note that something is about to be paused because of us."""
        self.may_be_ours = True

    def have_a_reason(self) -> None:
        """Take note that whatever is paused was not forgotten."""
        self._seen_paused_at = None

    def hold(self) -> None:
        """Let new work wait."""
        self.expect()
        self.have_a_reason()
        self._bouncer.hold()

    def let_go(self) -> None:
        """Let go what waits."""
        self._seen_paused_at = None
        resumed = self._bouncer.resume()
        self.may_be_ours = False
        if resumed:
            logger.info("clients go on", extra={"console": self._bouncer.name, "databases": sorted(resumed)})

    def let_go_foreign(self, clock: Clock, patience_s: float) -> str:
        """Let go what others hold once it was seen so for so long; return that it waits still."""
        if self._is_long(clock, patience_s):
            self.let_go()
        if self._seen_paused_at is None:
            return ""
        return f"PgBouncer {self._bouncer.name} is paused, and this node knows no reason: it lets clients go on if that stays so"

    def let_go_late(self, clock: Clock) -> None:
        """Let go what waits for a way that does not come. An error tells clients more then; the old primary takes no writes."""
        if self._is_long(clock):
            logger.warning("PgBouncer does not lead to the primary, clients go on nevertheless", extra={"console": self._bouncer.name})
            self.let_go()

    def let_go_forgotten(self, clock: Clock, *, ours_alone: bool) -> None:
        """Let go what another node's PgBouncer holds since long: its own agent would have done so."""
        if self._is_long(clock) and (self.may_be_ours or not ours_alone):
            logger.warning("PgBouncer of another node was left paused, clients go on", extra={"console": self._bouncer.name})
            self._bouncer.resume()

    def _is_long(self, clock: Clock, long_s: float = _LONG_S) -> bool:
        """Tell whether it was paused at each look since long."""
        if not self._bouncer.paused():
            self._seen_paused_at, self.may_be_ours = None, False
            return False
        if self._seen_paused_at is None:
            self._seen_paused_at = clock.now()
        return clock.now() - self._seen_paused_at > long_s
