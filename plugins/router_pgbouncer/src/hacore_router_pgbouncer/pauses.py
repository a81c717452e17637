"""Letting go what waits at PgBouncers. It does not know who leads, nor why something was paused.

Nothing at a PgBouncer tells whose PAUSE it is. What we have seen going on, and have not paused since, is a person's, or another agent's
that knows more than we do. What a process before this one may have left counts as ours, or clients could wait for ever.
"""

import logging
from collections.abc import Iterable
from typing import Final

from hacore.errors import PluginUnavailableError
from hacore.model.clock import Clock, Instant
from hacore_router_pgbouncer.bouncer import Bouncer

logger = logging.getLogger(__name__)

_LONG_S: Final = 20.0  # what is paused for so long and needs not: another node's PgBouncer has lost its agent, ours its way
HELD_BY_OTHERS: Final = "paused, and this node knows no reason: it lets clients go on if that stays so"


class Pauses:
    """Those of this node's PgBouncer, and of the other nodes'."""

    def __init__(self, own: Bouncer, others: Iterable[Bouncer]) -> None:
        self._own, self._others = own, tuple(others)
        self._seen_paused_at: dict[str, Instant] = {}
        self._may_be_ours = {one.name for one in (own, *self._others)}

    @property
    def may_be_ours(self) -> bool:
        """Tell whether what waits at our own may wait because of us."""
        return self._own.name in self._may_be_ours

    def expect(self, *others: str) -> None:
        """Take note that something is about to be paused because of us: at our own, and at those of other nodes."""
        self._may_be_ours |= {self._own.name, *others}

    def hold(self) -> None:
        """Let new work wait at our own. There is a reason for it, so nothing is left or forgotten, wherever it waits."""
        self.expect()
        self._seen_paused_at.clear()
        self._own.hold()

    def let_go(self) -> None:
        """Let go what waits at our own."""
        self._seen_paused_at.pop(self._own.name, None)
        resumed = self._own.resume()
        self._may_be_ours.discard(self._own.name)
        if resumed:
            logger.info("clients go on", extra={"console": self._own.name, "databases": sorted(resumed)})

    def let_go_foreign(self, clock: Clock, patience_s: float) -> str:
        """Let go what others hold at our own once it was seen so for so long; return that it waits still."""
        if self._is_long(self._own, clock, patience_s):
            self.let_go()
        return HELD_BY_OTHERS if self._own.name in self._seen_paused_at else ""

    def let_go_late(self, clock: Clock) -> None:
        """Let go what waits for a way that does not come. An error tells clients more then; the old primary takes no writes."""
        if self._is_long(self._own, clock):
            logger.warning("PgBouncer does not lead to the primary, clients go on nevertheless", extra={"console": self._own.name})
            self.let_go()

    def let_go_forgotten(self, clock: Clock, *, ours_alone: bool) -> None:
        """Let go what another node's PgBouncer holds since long: its own agent would have done so."""
        for bouncer in self._others:
            try:
                is_long = self._is_long(bouncer, clock)
            except PluginUnavailableError as error:
                logger.debug("PgBouncer of another node does not answer", extra={"error": str(error)})
                continue
            if is_long and (bouncer.name in self._may_be_ours or not ours_alone):
                logger.warning("PgBouncer of another node was left paused, clients go on", extra={"console": bouncer.name})
                bouncer.resume()

    def _is_long(self, bouncer: Bouncer, clock: Clock, long_s: float = _LONG_S) -> bool:
        """Tell whether it was paused at each look since long."""
        if not bouncer.paused():
            self._seen_paused_at.pop(bouncer.name, None)
            self._may_be_ours.discard(bouncer.name)
            return False
        return clock.now() - self._seen_paused_at.setdefault(bouncer.name, clock.now()) > long_s
