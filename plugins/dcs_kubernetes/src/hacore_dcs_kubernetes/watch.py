"""The thread that holds a watch of the cluster's objects open, wakes the loop when it must act, and learns early of new versions.

It lists and watches from there. A watch that the server ends in order goes on from the last version it told, for which bookmarks keep it
young; after any other end, and when the server has forgotten that version (410), it lists again, with one wake, because nobody knows what
happened in between. A leader renews in each turn, so silence for longer than a turn is suspicious by itself: then it lists again, too.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hacore.errors import DcsUnavailableError
from hacore.model.clock import Clock
from hacore.sightings import Sightings
from hacore_dcs_kubernetes.alarm import Alarm
from hacore_dcs_kubernetes.client import Client, Json
from hacore_dcs_kubernetes.direct import Directory
from hacore_dcs_kubernetes.lock import OwnClock
from hacore_dcs_kubernetes.objects import Objects
from hacore_dcs_kubernetes.records import CONFIG, FAILOVER, LEADER, Found

_LIST_S: Final = 2.0
_WATCH_S: Final = 300
_PAUSES_S: Final = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)
_STEADY_S: Final = 2.0  # a watch that lasted this long is opened again without a pause
_JOIN_S: Final = 3.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the watch tells the session of, and with what clock."""

    own_clock: OwnClock
    sightings: Sightings
    clock: Clock


class Watch:
    """One watch at a time, until it is closed."""

    def __init__(self, *, client: Client, objects: Objects, known: Known, directory: Directory, silence_s: float) -> None:
        self.leading = False  # set by the session: a leader need not hear of its own status
        self._client = client
        self._objects = objects
        self._known = known
        self._directory = directory
        self._silence_s = silence_s
        self._told: dict[str, object] = {}  # what was told of the things that wake
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._alarm: Alarm | None = None

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to watch; ``wake`` is called from the threads of this watch."""

        def ring() -> None:
            self._told.pop(LEADER, None)  # should it be renewed after all, that is news
            wake()

        self._alarm = Alarm(self._known.clock, ring)
        self._alarm.start()
        self._thread = threading.Thread(target=self._run, args=(wake,), name="hacore-kubernetes-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the threads."""
        self._ended.set()
        self._client.interrupt()
        if self._alarm is not None:
            self._alarm.close()
        if self._thread is not None:
            self._thread.join(_JOIN_S)
        self._client.close()

    def _run(self, wake: Callable[[], None]) -> None:
        failures, version = 0, 0
        while not self._ended.is_set():
            opened_at = time.monotonic()
            try:
                version = self._follow(version or self._listed(wake), wake)
            except _NOT_TOLD as error:
                logger.debug("the watch has ended and is opened again", extra={"error": str(error)})
                version = 0
            failures = 0 if time.monotonic() - opened_at > _STEADY_S else failures + 1
            self._ended.wait(_PAUSES_S[min(failures, len(_PAUSES_S) - 1)])
            try:
                self._directory.look(self._client)
            except _NOT_TOLD as error:
                logger.debug("the servers cannot be found", extra={"error": str(error)})

    def _listed(self, wake: Callable[[], None]) -> int:
        version, found = self._objects.list(self._known.clock.now() + _LIST_S)
        for home in (LEADER, CONFIG, FAILOVER):
            self._note(found.get(home) or Found(home=home, annotations={}, spec={}))
        wake()
        return version

    def _follow(self, version: int, wake: Callable[[], None]) -> int:
        """Watch from a version on; the version from which to go on, 0: from the beginning."""
        began = time.monotonic()
        query = {
            "labelSelector": self._objects.place.selector,
            "resourceVersion": str(version),
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_S),
            "watch": "true",
        }
        for event in self._client.watch(self._objects.path(**query), silence_s=self._silence_s):
            if self._ended.is_set():
                return 0
            version = int(event["object"]["metadata"]["resourceVersion"])
            if event["type"] != "BOOKMARK" and self._concerns(event):
                wake()
        # Only its own time ends a watch in order. What ends it earlier may have been the end of a server whose successor knows less.
        return version if time.monotonic() - began >= _WATCH_S else 0

    def _concerns(self, event: Json) -> bool:
        found = self._objects.read(event["object"])
        if found is None:
            return False
        return self._note(Found(home=found.home, annotations={}, spec={}) if event["type"] == "DELETED" else found)

    def _note(self, found: Found) -> bool:
        """Note every version; tell whether the loop must look."""
        shown = found.records
        for name, text in shown.items():
            self._known.sightings.watched(name, text, found.version)
        news = [self._is_news(name, shown.get(name)) for name in _WAKING.get(found.home, ())]
        if found.home == LEADER:
            is_news = self._is_news("status", shown.get("status")) and not self.leading
            news += [self._has_changed_hands(found), is_news]
        return any(news)

    def _has_changed_hands(self, leader: Found) -> bool:
        record = self._objects.lock(leader)
        expires_at = self._known.own_clock.watched(record)
        if self._alarm is not None:
            self._alarm.set(expires_at if record.lock is not None else None)
        return self._is_news(LEADER, record.lock)

    def _is_news(self, what: str, found: object) -> bool:
        known, self._told[what] = self._told.get(what), found
        return known != found


# The last four: not what a server of ours sends.
_NOT_TOLD: Final = (DcsUnavailableError, AttributeError, KeyError, TypeError, ValueError)
_WAKING: Final = {CONFIG: ("config",), FAILOVER: ("failover",)}
