"""Since when this session has known which version of a record: what a challenger counts from."""

import threading

from hacore.interfaces import Record
from hacore.model.clock import Clock, Instant


class Sightings:
    """First receipt of the versions that stand, by name.

    The watch tells that a node has changed, not what it became. But on one connection it does so before anything shows the change. So the
    version that a reading shows, where it is a new one, was received when the watch last spoke of the node, or with the reading itself.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._mutex = threading.Lock()
        self._known: dict[str, Record] = {}
        self._changed_at: dict[str, Instant] = {}

    def changed(self, name: str) -> None:
        """Note what the watch has told."""
        with self._mutex:
            self._changed_at[name] = self._clock.now()

    def interrupted(self) -> None:
        """Forget what the watch has told: it has ended, and another one begins."""
        with self._mutex:
            self._changed_at.clear()

    def read(self, name: str, value: str, version: int) -> Record:
        """Note what a reading shows."""
        with self._mutex:
            known = self._known.get(name)
            if known is None or (known.version, known.value) != (version, value):
                received_at = self._changed_at.get(name, self._clock.now())
                known = self._known[name] = Record(value=value, version=version, received_at=received_at)
            return known

    def forget(self) -> None:
        """Begin anew: the store is another one, or has gone back."""
        with self._mutex:
            self._known.clear()
            self._changed_at.clear()
