"""The cluster's objects as one session knows them: what it read or wrote last, and the lock among them by its own clock.

What is known here only spares requests: each write compares the version that it knows, so an object that has changed is read again.
"""

import logging
from collections.abc import Callable

from hacore.interfaces import Record
from hacore.model.clock import Instant
from hacore.model.lease import Lock
from hacore_dcs_kubernetes.objects import Change, Objects
from hacore_dcs_kubernetes.records import LEADER, Found
from hacore_dcs_kubernetes.watch import Known

logger = logging.getLogger(__name__)


class Shelf:
    """Reads and writes objects, and remembers them. Used by one thread at a time."""

    def __init__(self, objects: Objects, known: Known) -> None:
        self.objects = objects
        self._known = known
        self._found: dict[str, Found] = {}
        self._revision = 0

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
        answer = self.objects.change(found, change, until)
        if sent_at is not None:
            self._known.own_clock.read(self.objects.lock(answer), at=sent_at)
        return self._note(answer)

    def read_all(self, until: Instant, went_back: Callable[[], None]) -> int:
        """Read all objects as they stand at one revision, which is returned; ``went_back`` is called where it is below an earlier one."""
        revision, found = self.objects.list(until)
        if revision < self._revision:
            logger.warning("the store has gone back or is another one", extra={"revision": revision, "seen": self._revision})
            self._known.own_clock.forget()
            self._known.sightings.forget()
            went_back()
        self._revision, self._found = revision, {}
        for one in (Found(home=LEADER, annotations={}, spec={}), *found.values()):
            self._note(one)
        return revision

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

    def _note(self, found: Found) -> Found:
        self._found[found.home] = found
        return found
