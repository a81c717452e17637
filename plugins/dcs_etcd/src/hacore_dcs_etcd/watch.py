"""The thread that holds etcd's stream of changes open, wakes the loop when it must act, and learns early of new versions.

A stream can go silent without an end (its member frozen, cut off, or gone without a word). A leader renews before half of its lease is
spent, whatever its loop_wait, and writes a record each time, so silence for longer is suspicious by itself: the stream is then opened
again, at another member, with one wake. After every opening the loop is woken, because nobody knows what happened in between.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from hacore.errors import DcsUnavailableError, Enduring
from hacore.sightings import Sightings, longest_silence_s
from hacore_dcs_etcd.client import Client
from hacore_dcs_etcd.discovery import Discovery
from hacore_dcs_etcd.picture import Change, Picture
from hacore_dcs_etcd.wire import Json, Keys, number

_CONNECT_S: Final = 2.0
_PAUSES_S: Final = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)
_STEADY_S: Final = 2.0  # a stream that lasted this long is opened again without a pause
_JOIN_S: Final = 3.0
logger = logging.getLogger(__name__)


class Watch:
    """One stream at a time, until it is closed."""

    def __init__(self, *, client: Client, discovery: Discovery, session: Client, keys: Keys, sightings: Sightings, ttl_s: float) -> None:
        self.leading = False  # set by the session: a leader need not hear of its own status
        self.picture = Picture()
        self._client = client
        self._discovery = discovery
        self._session = session  # is told of members that are found
        self._keys = keys
        self._sightings = sightings
        self._ttl_s = ttl_s
        self._lock: tuple[str, int] | None = None  # holder and create revision, as last seen here
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to watch; ``wake`` is called from the thread of this watch."""
        self._thread = threading.Thread(target=self._run, args=(wake,), name="hacore-etcd-watch", daemon=True)
        self._thread.start()

    def expect(self, ttl_s: float) -> None:
        """Take the ttl in force, which people change; a stream under another one is opened again with its next answer."""
        self._ttl_s = ttl_s

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
            opened_at = time.monotonic()
            with Enduring() as round_:
                self._follow(wake)
            if round_.error is not None:
                logger.debug("the watch has ended and is opened again", extra={"error": str(round_.error)})
            self.picture.interrupted()
            failures = 0 if time.monotonic() - opened_at > _STEADY_S else failures + 1
            self._ended.wait(_PAUSES_S[min(failures, len(_PAUSES_S) - 1)])
            self._discover(is_in_need=failures >= len(_PAUSES_S))

    def _follow(self, wake: Callable[[], None]) -> None:
        ttl_s = self._ttl_s
        for answer in self._answers(silence_s=longest_silence_s(ttl_s)):
            if self._ended.is_set():
                return
            if answer.get("canceled"):  # also where it was never opened: we may not
                raise DcsUnavailableError(f"etcd: watch: {answer.get('cancel_reason', 'canceled')}")
            if answer.get("created"):
                self.picture.followed(number(answer["header"], "revision"))
                wake()
            elif self._concerns(answer):
                wake()
            self._discover()  # a stream need not end before all members are other ones
            if self._ttl_s != ttl_s:
                return

    def _answers(self, *, silence_s: float) -> Iterator[Json]:
        body = {"create_request": {**self._keys.all(), "progress_notify": True}}
        return self._client.stream("watch", body, connect_s=_CONNECT_S, silence_s=silence_s)

    def _concerns(self, answer: Json) -> bool:
        """Note every version; tell whether the loop must look."""
        changes = [Change(kv=self._keys.kv(one["kv"]), is_removal=one.get("type") == "DELETE") for one in answer.get("events", ())]
        self.picture.tell(changes)
        concerning = [self._concerns_one(change) for change in changes]
        return any(concerning)

    def _concerns_one(self, change: Change) -> bool:
        kv = change.kv
        if kv.name == "leader":
            seen = None if change.is_removal else (kv.value, kv.created)
            changed, self._lock = seen is None or seen != self._lock, seen
            return changed
        if not change.is_removal:
            self._sightings.watched(kv.name, kv.value, kv.version)
        if kv.name == "status":
            return not self.leading
        return kv.name in ("config", "failover")

    def _discover(self, *, is_in_need: bool = False) -> None:
        """Look now and then who belongs to the cluster, on this thread, where it holds up nobody."""
        if not self._discovery.is_due(is_in_need=is_in_need):
            return
        with Enduring() as round_:
            self._discovery.run(timeout_s=_CONNECT_S)
            self._session.learn(self._client.endpoints, named=self._client.named)
        if round_.error is not None:
            logger.debug("the members of the cluster cannot be read", extra={"error": str(round_.error)})
