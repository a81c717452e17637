"""Letting clients wait while the primary that PgBouncer leads to takes nobody in, on a thread of its own.

From its first login that failed until one succeeds PgBouncer refuses every client at once (its manual: ``server_login_retry``, which names
PAUSE for what is known to pass). A leader that has died leads on in the store until its lease ends, so nobody is told before.

It looks whether PgBouncer has lost its last session with a server, asks that server then, and pauses where it does not answer. That ends
when the server answers, when there is news of the leader, and when its time is over. It does not know who leads.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from hacore.errors import Enduring, PluginUnavailableError
from hacore.http.resolver import Resolver
from hacore.model.clock import BootClock, Clock, Instant
from hacore_router_pgbouncer.bouncer import Bouncer
from hacore_router_pgbouncer.server import takes_connections

logger = logging.getLogger(__name__)

_LOOK_S: Final = 0.5
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
        self._ended = threading.Event()
        self._place: object = None  # where writes go; ``None``: nothing is to be watched
        self._limit_s = 0.0
        self._may_have_lost = True  # its last session with the server, since the server was last seen well
        self._waits_until: Instant | None = None

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
            thread = threading.Thread(target=self._serve, name="pgbouncer watch", daemon=True)
            with Enduring() as beginning:  # where no thread can be begun just now, the next state tries again
                thread.start()
            self._thread = thread if beginning.error is None else None

    def close(self) -> None:
        """End the thread, and let go what waits because of it."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(_LOOK_S)

    def _serve(self) -> None:
        while not self._ended.wait(_LOOK_S):
            with Enduring() as look:
                self._look()
            if look.error is not None:
                logger.debug("PgBouncer cannot be watched", extra={"error": str(look.error)})
        with suppress(PluginUnavailableError):
            self._go_on(answers=False)
        self._bouncer.close()

    def _look(self) -> None:
        place = self._place
        if place is None or not (self.waits or self._has_lost_all()):
            return
        answers = server_answers(self._bouncer, self._resolver)
        with self._turn:
            if self._place != place or self._ended.is_set():
                return
            if answers or (self._waits_until is not None and self._waits_until <= self._clock.now()):
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
        self._begins()
        self._bouncer.hold()  # also again: another agent that names this PgBouncer may not have noticed yet
        if self.waits:
            return
        self._waits_until = self._clock.now() + self._limit_s
        logger.warning("the primary takes nobody in, clients wait", extra={"console": self._bouncer.name, "at_most_s": self._limit_s})

    def _go_on(self, *, answers: bool) -> None:
        """Let clients go on, and leave them alone until the server has had a session again."""
        self._may_have_lost = False
        if self.waits:
            self._waits_until = None
            self._bouncer.resume()
            logger.info("clients go on", extra={"console": self._bouncer.name, "primary_answers": answers})
