"""The session, over one connection after another: a thread of its own opens them, each to the next server, and goes on with the session.

The session is the lease: what hangs on it ends when nothing was asked through it for its time. So nothing may keep it alive but successful
renewals of the loop. kazoo may ping only until something hangs on it. And since every new connection prolongs a session, one that was not
renewed for a while is left to its end, and the next connection begins another; a lock that still stands then can be moved to that.
"""

import itertools
import logging
import math
import random
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from kazoo.exceptions import KazooException
from kazoo.protocol.serialization import Sync

from hacore.errors import DcsUnavailableError, Enduring
from hacore.model.clock import Clock, Instant
from hacore_dcs_zookeeper.connection import Connection, Way
from hacore_dcs_zookeeper.jute import AddWatch
from hacore_dcs_zookeeper.places import Exhibitor, Named, Whereabouts
from hacore_dcs_zookeeper.session_file import SessionFile
from hacore_dcs_zookeeper.watch import Watch

_PAUSES_S: Final = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)
_FORGIVEN: Final = 0.5  # of the session's time: what was not renewed for longer is not prolonged by a new connection
_STEADY_S: Final = 2.0  # after a connection that lasted this long the next one is opened without a pause
_TICK_S: Final = 0.1  # no wait of Python's counts the time in which the machine slept
_JOIN_S: Final = 3.0
_GOODBYE_S: Final = 0.5
logger = logging.getLogger(__name__)


class Link:
    """The one session of a :class:`~hacore_dcs_zookeeper.dcs.ZookeeperDcs`.

    :param prefix: path of the node to watch, with all below it.
    :param file: where the session is kept for a successor; ``None``: nowhere.
    """

    def __init__(self, *, way: Way, places: Named | Exhibitor, watch: Watch, prefix: str, ttl_s: float, file: SessionFile | None) -> None:
        self.refusal: Exception | None = None  # what a server has against us
        self._way = way
        self._clock: Clock = way.clock
        self._places = places
        self._whereabouts = Whereabouts(way.clock)
        self._watch = watch
        self._prefix = prefix
        self._ttl_s = ttl_s
        self._negotiated_s = math.inf
        self._file = file
        self._session = file.take() if file is not None else None
        self._engaged = self._session is not None
        self._kept_at = self._clock.now()
        self._turn = random.randrange(1 << 16)  # noqa: S311 - spreads the agents over the servers
        self._changed = threading.Condition()
        self._current: Connection | None = None
        self._attempt: Connection | None = None  # the newest, which may not have begun
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hacore-zookeeper", daemon=True)
        self._thread.start()

    def engage(self, ttl_s: float) -> None:
        """Have a session of this time, which from now on lives by renewals alone."""
        self._engaged = True
        if math.ceil(ttl_s) != math.ceil(self._ttl_s):
            with self._changed:
                self._ttl_s = ttl_s
                current, self._current = self._current, None
                self._turn -= 1  # to the same server again, which may still have to tell the others of the old time
            if current is not None:
                current.cut()  # the time is agreed on with each connection; the session goes on

    def kept(self, sent_at: Instant) -> None:
        """Take note that the loop has renewed what hangs on the session."""
        self._kept_at, self._engaged = sent_at, True

    def leave_unless_kept(self, session: int) -> None:
        """Begin another session in the place of this one if it was not renewed for a while; what hangs on it ends in its time."""
        with self._changed:
            if self._session is None or self._session.number != session or not self._is_overdue():
                return
            self._session, self._engaged = None, False
            current, self._current = self._current, None
        if current is not None:
            current.cut()

    def missing_s(self, ttl_s: float) -> float:
        """Return by how much the time that the servers granted is shorter than this one."""
        return max(0.0, ttl_s - self._negotiated_s)

    def ready(self, until: Instant, *, heard_within_s: float) -> Connection:
        """Return a connection that has answered within this time; it is asked where it has not.

        :raises DcsUnavailableError: there is none before ``until``.
        """
        for attempt in itertools.count(1):
            connection = self._wait(until)
            if self._clock.now() - connection.heard_at < heard_within_s:
                break
            try:
                connection.ask([Sync(self._prefix)], self._share(until, attempt))
            except DcsUnavailableError:
                if self._clock.now() >= until:
                    raise
            else:
                break
        return connection

    def ask(self, requests: Sequence[Any], until: Instant) -> list[Any]:
        """Send requests that may be repeated, to one server after another, and return the answers.

        :raises DcsUnavailableError: none answered before ``until``.
        """
        for attempt in itertools.count(1):
            connection = self._wait(until)
            try:
                return connection.ask(requests, self._share(until, attempt))
            except DcsUnavailableError:
                if self._clock.now() >= until:
                    raise
        raise AssertionError("unreachable")

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` from now on: now, after every interruption, and when something changes."""
        with self._changed:
            self._watch.wake = wake
            current = self._current
        if current is not None and not self._begin_watch(current):
            current.cut()

    def close(self) -> None:
        """End thread and connection. A session that nothing hangs on is ended, too."""
        self._ended.set()
        self._watch.wake = None
        self._places.close()
        current, attempt = self._current, self._attempt
        if current is not None and not self._engaged:
            current.end_session(_GOODBYE_S)
        for one in filter(None, (current, attempt)):
            one.cut()
        self._thread.join(_JOIN_S)

    def _is_overdue(self) -> bool:
        return self._clock.now() - self._kept_at > self._ttl_s * _FORGIVEN

    def _share(self, until: Instant, attempt: int) -> Instant:
        """Give a server half of what is left, so that one that never answers does not use up the time of the next; the last one all."""
        now = self._clock.now()
        return until if attempt >= len(self._places.servers()) else now + (until - now) / 2

    def _wait(self, until: Instant) -> Connection:
        with self._changed:
            while self._current is None or self._current.ended.is_set():
                left_s = until - self._clock.now()
                if left_s <= 0 or self._ended.is_set():
                    raise DcsUnavailableError(f"zookeeper: no connection in time ({self._whereabouts.told(self._places.servers())})")
                self._changed.wait(min(_TICK_S, left_s))
            return self._current

    def _run(self) -> None:
        failures = 0
        while not self._ended.is_set():
            if self._file is not None and not self._file.is_ours():
                logger.error("another agent of this member goes on with the session", extra={"file": str(self._file.path)})
                return
            opened_at = self._clock.now()
            connection = self._next()
            if connection is not None:
                logger.info("connected", extra={"server": connection.place})
                connection.ended.wait()
                logger.info("the connection has ended", extra={"server": connection.place})
            failures = 0 if self._clock.now() - opened_at > _STEADY_S else failures + 1
            self._ended.wait(_PAUSES_S[min(failures // max(1, len(self._places.servers())), len(_PAUSES_S) - 1)])

    def _next(self) -> Connection | None:
        """Connect to the next server. Whatever is in the way, this thread goes on: without it there is no store any more."""
        places = self._places.servers()
        if not places:
            return None
        self._turn += 1
        place = places[self._turn % len(places)]
        with Enduring() as attempt:
            return self._open(place)
        self._whereabouts.failed(place, str(attempt.error) or repr(attempt.error))
        return None

    def _open(self, place: str) -> Connection | None:
        if self._engaged and self._is_overdue():
            self._session, self._engaged = None, False
        session, ttl_s = self._session, math.ceil(self._ttl_s)
        addresses = self._whereabouts.addresses(place)
        connection = Connection(self._way, place, addresses, session=session, ttl_s=ttl_s, may_ping=lambda: not self._engaged)
        self._attempt = connection
        if not connection.open():
            self._whereabouts.failed(place, connection.fault)
            self._whereabouts.doubt(place)
            self.refusal = connection.refusal or self.refusal
            if connection.is_expired:
                logger.warning("the session has expired; whatever hung on it is gone", extra={"server": place})
                self._session, self._engaged = None, False
            return None
        self.refusal = None
        self._whereabouts.reached(place)
        if connection.negotiated_s < ttl_s:
            facts = {"server": place, "ttl_s": ttl_s, "granted_s": connection.negotiated_s}
            logger.warning("the servers grant a shorter session than the ttl; the lease is counted from as much earlier", extra=facts)
        if connection.session != session and self._file is not None:
            self._file.write(connection.session)
        has_watcher = self._watch.wake is not None
        is_watched = not has_watcher or self._begin_watch(connection)
        with self._changed:
            is_watched &= has_watcher == (self._watch.wake is not None)  # somebody may just have begun to
            if is_watched and (self._session, math.ceil(self._ttl_s)) == (session, ttl_s):  # nobody has asked for another meanwhile
                if connection.session != session:
                    self._session, self._kept_at = connection.session, self._clock.now()
                self._current, self._negotiated_s = connection, connection.negotiated_s
                self._changed.notify_all()
                return connection
        connection.cut()
        return None

    def _begin_watch(self, connection: Connection) -> bool:
        """Watch, and wake the loop: nobody knows what happened before."""
        try:
            (answer,) = connection.ask([AddWatch(self._prefix)], self._clock.now() + self._way.connect_s)
        except DcsUnavailableError:
            return False
        if isinstance(answer, KazooException):
            logger.error("the servers refuse a watch", extra={"error": repr(answer)})
            return False
        self._watch.begun()
        return True
