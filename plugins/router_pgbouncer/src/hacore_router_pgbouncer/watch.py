"""Letting clients wait while the primary that PgBouncer leads to takes nobody in, on a thread of its own.

From its first login that failed until one succeeds PgBouncer refuses every client at once (its manual: ``server_login_retry``, which names
PAUSE for what is known to pass). A leader that has died leads on in the store until its lease ends, so nobody is told before.

It looks whether PgBouncer has lost its last session with a server, asks that server then, and pauses where it does not answer. That ends
when the server answers, when there is news of the leader, and when its time is over. It does not know who leads.

Who lets go what was paused asks first as well: an address or a proxy that PgBouncer leads to may not have followed yet.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from hacore.errors import PluginUnavailableError
from hacore.http.resolver import Resolver
from hacore.model.clock import BootClock, Clock, Instant
from hacore_router_pgbouncer.bouncer import Bouncer
from hacore_router_pgbouncer.server import takes_connections

logger = logging.getLogger(__name__)

_LOOK_S: Final = 0.5
_SOON_S: Final = 0.1  # while clients wait
_SESSIONS: Final = ("sv_active", "sv_idle", "sv_used", "sv_tested")


def server_answers(bouncer: Bouncer, resolver: Resolver) -> bool:
    """Tell whether the databases of a PgBouncer lead to servers that take connections."""
    rows = bouncer.databases().values()
    return all(takes_connections(row["host"], row["port"], row["database"], resolver, is_here=bouncer.is_here) for row in rows)


class Watch:
    """One PgBouncer.

    :param turn: held by whoever pauses and resumes.
    :param begins: called before it pauses.
    """

    def __init__(self, bouncer: Bouncer, turn: "threading.RLock", begins: Callable[[], None]) -> None:
        self._bouncer, self._turn, self._begins = bouncer, turn, begins
        self._clock: Clock = BootClock()
        self._resolver = Resolver(self._clock)
        self._thread: threading.Thread | None = None
        self._ended, self._is_wanted = threading.Event(), threading.Event()
        self._place: object = None  # where writes go; ``None``: nothing is to be watched
        self._limit_s = 0.0
        self._may_have_lost = True  # its last session with the server, since the server was last seen well
        self._waits_until: Instant | None = None
        self._is_others_too = False  # others have paused it as well: who sees the server answer first lets go for all

    @property
    def is_on(self) -> bool:
        """Tell whether clients shall wait for this server."""
        return self._place is not None

    @property
    def waits(self) -> bool:
        """Tell whether clients wait because of this."""
        return self._waits_until is not None

    def watch(self, place: object, limit_s: float) -> None:
        """Watch over this place from now on, with clients that wait for at most so long. Another one begins anew; ``None``: nothing."""
        self._limit_s = limit_s
        if place != self._place:
            self._place, self._may_have_lost, self._waits_until = place, True, None
        if place is not None and self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="pgbouncer watch", daemon=True)
            self._thread.start()

    def take_over(self) -> None:
        """Let go what is paused when the server answers, and when its time is over. In the turn."""
        self._waits_until, self._is_others_too = self._clock.now() + self._limit_s, True
        self._is_wanted.set()
        logger.info("clients wait until the next primary answers", extra={"console": self._bouncer.name, "at_most_s": self._limit_s})

    def close(self) -> None:
        """End the thread, and let go what waits because of it."""
        self._ended.set()
        self._is_wanted.set()
        if self._thread is not None:
            self._thread.join(_LOOK_S)

    def _serve(self) -> None:
        while self._is_next():
            try:
                self._look()
            except PluginUnavailableError as error:
                logger.debug("PgBouncer cannot be watched", extra={"error": str(error)})
        with suppress(PluginUnavailableError):
            self._go_on(answers=False)
        self._bouncer.close()

    def _is_next(self) -> bool:
        """Wait for the next look; tell whether there is one."""
        self._is_wanted.wait(_SOON_S if self.waits else _LOOK_S)
        self._is_wanted.clear()
        return not self._ended.is_set()

    def _look(self) -> None:
        place = self._place
        if place is None or not (self.waits or self._has_lost_all()):
            return
        answers = server_answers(self._bouncer, self._resolver)
        with self._turn:
            if self._place != place or self._ended.is_set():
                return
            if self.waits and self._is_others_too and not self._bouncer.paused():
                self._waits_until = None
            elif answers or (self._waits_until is not None and self._waits_until <= self._clock.now()):
                self._go_on(answers=answers)
            else:
                self._wait()

    def _has_lost_all(self) -> bool:
        pools = self._bouncer.pools()
        if any(int(pool[column]) for pool in pools for column in _SESSIONS):
            self._may_have_lost = True
            return False
        return self._may_have_lost

    def _wait(self) -> None:
        if self.waits and self._is_others_too:
            return
        self._begins()
        self._bouncer.hold()  # also again: another agent that names this PgBouncer may not have noticed yet
        if self.waits:
            return
        self._waits_until, self._is_others_too = self._clock.now() + self._limit_s, False
        logger.warning("the primary takes nobody in, clients wait", extra={"console": self._bouncer.name, "at_most_s": self._limit_s})

    def _go_on(self, *, answers: bool) -> None:
        """Let clients go on, and leave them alone until the server has had a session again."""
        self._may_have_lost = False
        if self.waits:
            self._waits_until = None
            self._bouncer.resume()
            logger.info("clients go on", extra={"console": self._bouncer.name, "primary_answers": answers})
