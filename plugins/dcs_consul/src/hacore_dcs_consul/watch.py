"""The thread that asks Consul to answer when something below the prefix has changed, and wakes the loop when it must act.

Each question says up to which index we know, and how long the agent may keep it open. An agent that has nothing to tell answers in the end
all the same, so one that does not has gone silent: the question is then put to another, with one wake. After every beginning the loop is
woken, because nobody knows what happened in between.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from hacore.errors import DcsUnavailableError
from hacore.model.clock import Clock
from hacore.sightings import Sightings
from hacore_dcs_consul.client import Answer, Client
from hacore_dcs_consul.standing import LEADER
from hacore_dcs_consul.wire import Keys, Kv

_FIRST_ANSWER_S: Final = 2.0
_JITTER: Final = 1 / 16  # Consul keeps a question open for up to so much longer than it was asked to
_LATE_S: Final = 1.0
_PAUSES_S: Final = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)
_STEADY_S: Final = 2.0  # a watch that lasted this long is begun again without a pause
_JOIN_S: Final = 3.0
_ALWAYS: Final = ("config", "failover")
logger = logging.getLogger(__name__)


class Watch:
    """One question at a time, until it is closed."""

    def __init__(self, *, client: Client, clock: Clock, keys: Keys, sightings: Sightings, consistency: str, wait_s: float) -> None:
        self.leading = False  # set by the session: a leader need not hear of its own status
        self._client = client
        self._clock = clock
        self._keys = keys
        self._sightings = sightings
        self._query = {"recurse": ""} if consistency == "default" else {"recurse": "", consistency: ""}
        self._wait_s = wait_s
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
            try:
                self._follow(wake)
            except (DcsUnavailableError, KeyError, TypeError, ValueError) as error:  # the last three: not what an agent of Consul sends
                logger.debug("the watch has ended and is begun again", extra={"error": str(error)})
            failures = 0 if time.monotonic() - began_at > _STEADY_S else failures + 1
            self._ended.wait(_PAUSES_S[min(failures, len(_PAUSES_S) - 1)])

    def _follow(self, wake: Callable[[], None]) -> None:
        """Ask again and again, until an answer is missing or Consul has gone back."""
        answer = self._ask({}, _FIRST_ANSWER_S)
        seen = self._received(answer)
        self._wake(wake)
        while answer.index > 0 and not self._ended.is_set():
            index = answer.index
            answer = self._ask({"index": str(index), "wait": f"{self._wait_s:g}s"}, self._wait_s * (1 + _JITTER) + _LATE_S)
            found = self._received(answer)
            if self._concerns(seen, found):
                self._wake(wake)
            if answer.index < index:
                return
            seen = found

    def _ask(self, more: Mapping[str, str], timeout_s: float) -> Answer:
        answer = self._client.read(self._keys.path(), {**self._query, **more}, until=self._clock.now() + timeout_s, repeatable=False)
        if answer.is_filtered:
            raise DcsUnavailableError("consul: the token may not read every record of the cluster")
        return answer

    def _received(self, answer: Answer) -> dict[str, Kv]:
        """Note every version."""
        found = {kv.name: kv for kv in self._keys.kvs(answer.content or ())}
        for kv in found.values():
            if kv.name != LEADER:
                self._sightings.watched(kv.name, kv.value, kv.version)
        return found

    def _concerns(self, before: dict[str, Kv], after: dict[str, Kv]) -> bool:
        """Tell whether the loop must look."""
        if _lock(before) != _lock(after):
            return True
        watched = _ALWAYS if self.leading else (*_ALWAYS, "status")
        return any(_version(before, name) != _version(after, name) for name in watched)

    def _wake(self, wake: Callable[[], None]) -> None:
        if not self._ended.is_set():
            wake()


def _lock(found: dict[str, Kv]) -> tuple[str, int] | None:
    """Return holder and instance; to which session of its holder it has moved does not matter."""
    leader = found.get(LEADER)
    return (leader.value, leader.created) if leader is not None and leader.session else None


def _version(found: dict[str, Kv], name: str) -> int:
    return found[name].version if name in found else 0
