"""The thread that asks Consul to answer when something below the prefix has changed, wakes the loop when it must act, and keeps a picture.

Each question says up to which index we know, and how long the agent may keep it open. An agent that has nothing to tell answers in the end
all the same, so one that does not has gone silent: the question is then put to another, with one wake. After every beginning the loop is
woken, because nobody knows what happened in between.

When the leader has renewed its lock the members write where they are, each at its own moment. So after a renewal that came when it was
expected the next question waits until they have: it would be answered at once, for nothing that anybody waits for.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from hacore.errors import DcsUnavailableError, Enduring
from hacore.model.clock import Clock
from hacore.sightings import Sightings
from hacore_dcs_consul.client import Answer, Client
from hacore_dcs_consul.picture import Kept, Picture
from hacore_dcs_consul.standing import LEADER
from hacore_dcs_consul.wire import Keys, Kv

_FIRST_ANSWER_S: Final = 2.0
_WAIT: Final = 1.25  # of loop_wait: longer than the leader's renewals are apart, so that each question is answered by one
_SHORTEST_WAIT_S: Final = 1.0
_JITTER: Final = 1 / 16  # Consul keeps a question open for up to so much longer than it was asked to
_LATE_S: Final = 1.0
_PAUSES_S: Final = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)
_STEADY_S: Final = 2.0  # a watch that lasted this long is begun again without a pause
_JOIN_S: Final = 3.0
_EXPECTED: Final = 0.9  # of loop_wait: a renewal that comes sooner belongs to something that is going on
_SETTLED: Final = 0.025  # of loop_wait: what the members take to follow a renewal, and the most by which a wake is late
_ALWAYS: Final = ("config", "failover")
logger = logging.getLogger(__name__)


class Watch:
    """One question at a time, until it is closed."""

    def __init__(self, *, client: Client, clock: Clock, keys: Keys, sightings: Sightings, is_stale: bool, loop_wait_s: float) -> None:
        self.leading = False  # set by the session: a leader need not hear of its own status
        self.is_filtered = False  # whether the newest answer left out what the token may not read
        self.picture = Picture()
        self._client = client
        self._clock = clock
        self._keys = keys
        self._sightings = sightings
        self._is_stale = is_stale  # answered by any server: good for a wake, but nothing to keep
        self._query = {"recurse": "", "stale" if is_stale else "consistent": ""}
        self._loop_wait_s = loop_wait_s
        self._wait_s = max(_SHORTEST_WAIT_S, loop_wait_s * _WAIT)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to watch; ``wake`` is called from the thread of this watch."""
        self._thread = threading.Thread(target=self._run, args=(wake,), name="hacore-consul-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        self._client.interrupt()
        if self._thread is not None:
            self._thread.join(_JOIN_S)
        self._client.close()

    def _run(self, wake: Callable[[], None]) -> None:
        failures = 0
        while not self._ended.is_set():
            began_at = time.monotonic()
            with Enduring() as round_:
                self._follow(wake)
            if round_.error is not None:
                logger.debug("the watch has ended and is begun again", extra={"error": str(round_.error)})
            self.picture.interrupted()
            failures = 0 if time.monotonic() - began_at > _STEADY_S else failures + 1
            self._ended.wait(_PAUSES_S[min(failures, len(_PAUSES_S) - 1)])

    def _follow(self, wake: Callable[[], None]) -> None:
        """Ask again and again, until an answer is missing or Consul has gone back."""
        answer, seen = self._ask({}, _FIRST_ANSWER_S)
        self._wake(wake)
        while answer.index > 0 and not self._ended.is_set():
            index, asked_at = answer.index, self._clock.now()
            answer, found = self._ask({"index": str(index), "wait": f"{self._wait_s:g}s"}, self._wait_s * (1 + _JITTER) + _LATE_S)
            if answer.index < index:
                return
            is_urgent = self._is_urgent(seen, found)
            if is_urgent or self._is_news(seen, found):
                self._wake(wake)
            if answer.index > index and not is_urgent and self._clock.now() - asked_at > self._loop_wait_s * _EXPECTED:
                self._ended.wait(self._loop_wait_s * _SETTLED)
            seen = found

    def _ask(self, more: Mapping[str, str], timeout_s: float) -> tuple[Answer, dict[str, Kv]]:
        """Return the answer and what it shows, every version of which has been noted."""
        sent_at = self._clock.now()
        answer = self._client.read(self._keys.path(), {**self._query, **more}, until=sent_at + timeout_s, repeatable=False)
        self.is_filtered = answer.is_filtered
        if answer.is_filtered:
            raise DcsUnavailableError("consul: the token may not read every record of the cluster")
        found = {kv.name: kv for kv in self._keys.kvs(answer.content or ())}
        for kv in found.values():
            if kv.name != LEADER:
                self._sightings.watched(kv.name, kv.value, kv.version)
        if not self._is_stale:
            self.picture.tell(Kept(sent_at=sent_at, index=answer.index, found=found))
        return answer, found

    def _is_urgent(self, before: dict[str, Kv], after: dict[str, Kv]) -> bool:
        """Tell whether something has happened that leads to more."""
        return _lock(before) != _lock(after) or any(_version(before, name) != _version(after, name) for name in _ALWAYS)

    def _is_news(self, before: dict[str, Kv], after: dict[str, Kv]) -> bool:
        """Tell whether the leader has come further, and is somebody else."""
        return not self.leading and _version(before, "status") != _version(after, "status")

    def _wake(self, wake: Callable[[], None]) -> None:
        if not self._ended.is_set():
            wake()


def _lock(found: dict[str, Kv]) -> tuple[str, int] | None:
    """Return holder and instance; to which session of its holder it has moved does not matter."""
    leader = found.get(LEADER)
    return (leader.value, leader.created) if leader is not None and leader.session else None


def _version(found: dict[str, Kv], name: str) -> int:
    return found[name].version if name in found else 0
