"""The thread that holds a watch of one kind of object open, keeps the picture of it, and tells whoever listens.

It lists and watches from there. A watch that the server ends in order goes on from the last version it told, for which bookmarks keep it
young. After any other end, after silence, and when the server has forgotten that version (410), it lists again and the picture begins anew,
because nobody knows what happened in between.
"""

import http
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from hacore.errors import Enduring
from hacore.model.clock import Clock, Instant
from hacore_dcs_kubernetes.client import Client, Json, RefusedByServerError
from hacore_dcs_kubernetes.direct import Directory
from hacore_dcs_kubernetes.picture import Picture

_LIST_S: Final = 2.0
_PAUSES_S: Final = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)
_FORBIDDEN_S: Final = 300.0  # at most between two attempts at a watch that our role does not name
_DOUBLINGS: Final = 9  # of that pause: enough to come to the most
_STEADY_S: Final = 2.0  # a watch that lasted this long is opened again without a pause
_JOIN_S: Final = 3.0
logger = logging.getLogger(__name__)
T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Collection(Protocol[T]):
    """All objects of one kind that belong to the cluster."""

    @property
    def client(self) -> Client:
        """Return who speaks to the servers here."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers of a request for one of them."""

    def all_of_them(self, **query: str) -> str:
        """Return the path of the collection."""

    def list(self, until: Instant) -> tuple[int, dict[str, T]]:
        """Read all at one version, which is returned, too."""

    def keyed(self, item: Json) -> tuple[str, T] | None:
        """Read one of an event; ``None``: it is none of this cluster's."""


class Listener(Protocol[T_contra]):
    """What is done with the news, on the thread of the watch."""

    def listed(self, found: Mapping[str, T_contra]) -> None:
        """Take in how everything stands."""

    def told(self, key: str, item: T_contra | None) -> None:
        """Take in a change; ``None``: it was removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What every follower needs beside its collection."""

    clock: Clock
    directory: Directory
    lasts_s: int = 1800  # after which a watch ends in order


class Follower(Generic[T]):
    """One watch at a time, until it is closed.

    :param silence_s: after which it counts as dead. Another one may be set at any time; the watch goes on under it with the next event.
    """

    def __init__(self, collection: Collection[T], picture: Picture[T], listener: Listener[T], means: Means, *, silence_s: float) -> None:
        self._collection = collection
        self._picture = picture
        self._listener = listener
        self._means = means
        self.silence_s = silence_s
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._thread = threading.Thread(target=self._run, name="hacore-kubernetes-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        self._collection.client.interrupt()
        if self._thread is not None:
            self._thread.join(_JOIN_S)
        self._collection.client.close()

    def _run(self) -> None:
        failures = forbidden = version = 0
        while not self._ended.is_set():
            opened_at = time.monotonic()
            with Enduring() as round_:
                version, forbidden = self.follow(version or self._begin()), 0
            if round_.error is not None:
                logger.debug("the watch has ended and is opened again", extra={"error": str(round_.error)})
                version, forbidden = 0, forbidden + 1 if _is_forbidden(round_.error) else 0
            if version == 0:
                self._picture.interrupted()
            failures = 0 if time.monotonic() - opened_at > _STEADY_S else failures + 1
            self._ended.wait(pause_s(failures, forbidden))
            with Enduring() as search:
                self._means.directory.look(self._collection.client)
            if search.error is not None:
                logger.debug("the servers cannot be found", extra={"error": str(search.error)})

    def _begin(self) -> int:
        sent_at = self._means.clock.now()
        version, found = self._collection.list(sent_at + _LIST_S)
        self._picture.followed(sent_at, version, found)
        self._listener.listed(found)
        return version

    def follow(self, version: int) -> int:
        """Watch from a version on; the version from which to go on, 0: from the beginning.

        :raises DcsUnavailableError: the watch has ended in any other way than in order.
        """
        began, lasts_s, silence_s = time.monotonic(), self._means.lasts_s, self.silence_s
        query = {"resourceVersion": str(version), "allowWatchBookmarks": "true", "timeoutSeconds": str(lasts_s), "watch": "true"}
        path, headers = self._collection.all_of_them(**query), self._collection.headers
        for event in self._collection.client.watch(path, headers=headers, silence_s=silence_s):
            if self._ended.is_set() or not self._picture.is_followed:
                return 0
            version = int(event["object"]["metadata"]["resourceVersion"])
            self._tell(version, event)
            if self.silence_s != silence_s:
                return version
        # Only its own time ends a watch in order. What ends it earlier may have been the end of a server whose successor knows less.
        return version if time.monotonic() - began >= lasts_s else 0

    def _tell(self, version: int, event: Json) -> None:
        keyed = None if event["type"] == "BOOKMARK" else self._collection.keyed(event["object"])
        if keyed is None:
            self._picture.tell(version)
            return
        key, item = keyed
        change = None if event["type"] == "DELETED" else item
        self._picture.tell(version, key, change)
        self._listener.told(key, change)


def pause_s(failures: int, forbidden: int) -> float:
    """Return how long to wait after so many failures in a row, and so many answers that our role does not name this."""
    pause_s = _PAUSES_S[min(failures, len(_PAUSES_S) - 1)]
    return max(pause_s, min(2.0 ** min(forbidden, _DOUBLINGS), _FORBIDDEN_S)) if forbidden else pause_s


def _is_forbidden(error: Exception) -> bool:
    return isinstance(error, RefusedByServerError) and error.status == http.HTTPStatus.FORBIDDEN
