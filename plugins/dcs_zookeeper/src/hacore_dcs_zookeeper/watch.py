"""What becomes of the changes that the watch shows: which of them wake the loop, and when the newest version of a record was received."""

from collections.abc import Callable
from typing import Final

from hacore_dcs_zookeeper.sightings import Sightings
from hacore_dcs_zookeeper.tree import LEADER, Keys

_WAKING: Final = (LEADER, "config", "failover")
_POSITION: Final = "status"


class Watch:
    """Called from kazoo's thread, in the order in which the server has sent changes and answers."""

    def __init__(self, keys: Keys, sightings: Sightings) -> None:
        self.leading = False  # set by the session: a leader need not hear of its own position
        self.wake: Callable[[], None] | None = None  # nobody watches yet
        self._keys = keys
        self._sightings = sightings

    def begun(self) -> None:
        """Wake the loop: nobody knows what happened before."""
        self._sightings.interrupted()
        self._call()

    def changed(self, path: str) -> None:
        """Take note of a node that was created, written or deleted."""
        name = self._keys.name(path)
        self._sightings.changed(name)
        if name in _WAKING or (name == _POSITION and not self.leading):
            self._call()

    def _call(self) -> None:
        if self.wake is not None:
            self.wake()
