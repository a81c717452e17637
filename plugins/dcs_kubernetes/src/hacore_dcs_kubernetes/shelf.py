"""The cluster's objects as one session knows them: what it read, wrote or recalled last, and the lock among them by its own clock.

What is known here only spares requests: each write compares the version that it knows, so an object that has changed is read again.
"""

import logging
import math
from collections.abc import Callable, Iterable
from typing import Final

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Record
from hacore.model.clock import Instant
from hacore.model.lease import Lock
from hacore_dcs_kubernetes.heard import Heard
from hacore_dcs_kubernetes.objects import Change, ConflictError, Objects
from hacore_dcs_kubernetes.records import LEADER, WRITE, Found
from hacore_dcs_kubernetes.watch import Known

TOLD_S: Final = 0.25  # to wait for a watch to tell of a write of this session: mostly it has before the answer is there
logger = logging.getLogger(__name__)


class Shelf:
    """Reads and writes objects, and remembers them. Used by one thread at a time."""

    def __init__(self, objects: Objects, known: Known) -> None:
        self.objects = objects
        self._known = known
        self._picture = known.objects
        self._found: dict[str, Found] = {}
        self.revision = 0  # newest at which all objects were read or recalled

    def known(self, home: str) -> Found | None:
        """Return an object as it was read or written last; ``None``: it must be read."""
        return self._found.get(home)

    def read(self, home: str, until: Instant) -> Found:
        """Read an object as it stands now."""
        return self._note(self.objects.get(home, until))

    def change(self, found: Found, change: Change, until: Instant, *, sent_at: Instant | None = None) -> Found:
        """Write into an object that is still as it was found; a lock of ours in it counts from ``sent_at``.

        :raises ConflictError: it is not.
        """
        self._found.pop(found.home, None)  # until the answer tells
        began_at = self._known.clock.now()
        try:
            answer = self.objects.change(found, change, until)
        except ConflictError:
            raise
        except DcsUnavailableError:
            self._picture.wrote(began_at, math.inf)
            raise
        if answer.version <= self.revision:  # the store has gone back, which the next reading will show
            self._picture.interrupted()
        self._picture.wrote(began_at, answer.version)
        if sent_at is not None:
            self._known.own_clock.read(self.objects.lock(answer), at=sent_at)
            self._known.renewals.note(answer.annotations.get(WRITE, ""), sent_at)
        return self._note(answer)

    def read_all(self, until: Instant, went_back: Callable[[], None]) -> Instant:
        """Read all objects as they stand at one revision; when that was sent. ``went_back`` is called where it is below an earlier one."""
        sent_at = self._known.clock.now()
        revision, found = self.objects.list(until)
        if revision < self.revision:
            logger.warning("the store has gone back or is another one", extra={"revision": revision, "seen": self.revision})
            self._known.own_clock.forget()
            self._known.sightings.forget()
            self._known.beats.forget()
            self._known.renewals.forget()
            went_back()
        self._picture.read(sent_at, revision, found)
        self._take(revision, found.values())
        return sent_at

    def see(self, since: Instant, until: Instant, went_back: Callable[[], None]) -> Instant:
        """Recall all objects as they stood at ``since`` or later, or read them as they stand; as of when.

        The watch may still have to tell of what was just written here: it is waited for.
        """
        recalled_at = self._recall(since, wait_s=min(TOLD_S, until - self._known.clock.now())) if since < math.inf else None
        return self.read_all(until, went_back) if recalled_at is None else recalled_at

    def records(self) -> dict[str, Record]:
        """Return every record of the objects that are known."""
        return {
            name: self._known.sightings.read(name, text, found.version)
            for found in self._found.values()
            for name, text in found.records.items()
        }

    def lock(self, leader: Found | None = None) -> Lock | None:
        """Return the lock in the leader's object, unless it has expired."""
        found = leader or self._found.get(LEADER)
        return None if found is None else self._known.own_clock.read(self.objects.lock(found))

    def homes(self) -> set[str]:
        """Return which objects are known."""
        return set(self._found)

    def lock_seen_at(self) -> Instant | None:
        """Return when the lock that is known was first seen as it stands: its holder has renewed it since, or not long before."""
        found = self._found.get(LEADER)
        return None if found is None else self._known.own_clock.seen_at(self.objects.lock(found))

    def heard(self) -> Heard | None:
        """Return the word of the newest renewal that is known, and for how long it has been."""
        found, seen_at = self._found.get(LEADER), self.lock_seen_at()
        word = None if found is None else found.annotations.get(WRITE)
        return None if word is None or seen_at is None else (word, self._known.clock.now() - seen_at)

    def _recall(self, since: Instant, *, wait_s: float) -> Instant | None:
        self._picture.wait(wait_s)
        kept = self._picture.recall(since)
        if kept is None:
            return None
        self._take(kept.revision, kept.items.values())
        return kept.sent_at

    def _take(self, revision: int, found: Iterable[Found]) -> None:
        self.revision, self._found = revision, {}
        for one in (Found(home=LEADER, annotations={}, spec={}), *found):
            self._note(one)

    def _note(self, found: Found) -> Found:
        self._found[found.home] = found
        return found
