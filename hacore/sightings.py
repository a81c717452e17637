"""Since when this session has known which version of a record: what a challenger counts from."""

import threading
from typing import Final

from hacore.interfaces import Record
from hacore.model.clock import Clock

_HALF: Final = 0.5
_LATE_S: Final = 1.0  # for the turn itself


def longest_silence_s(ttl_s: float) -> float:
    """Return after how long without a change a watch counts as dead: a leader renews before half of its lease is spent."""
    return ttl_s * _HALF + _LATE_S


class Sightings:
    """First receipt of the version that stands, by name, and of the one that the watch saw last; the two need not agree at each moment."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._mutex = threading.Lock()
        self._read: dict[str, Record] = {}
        self._watched: dict[str, Record] = {}

    def read(self, name: str, value: str, version: int) -> Record:
        """Note what a snapshot shows."""
        return self._note(self._read, name, value, version)

    def watched(self, name: str, value: str, version: int) -> Record:
        """Note what the watch has told."""
        return self._note(self._watched, name, value, version)

    def forget(self) -> None:
        """Begin anew: the store is another one, or has gone back."""
        with self._mutex:
            self._read.clear()
            self._watched.clear()

    def _note(self, seen: dict[str, Record], name: str, value: str, version: int) -> Record:
        with self._mutex:
            for known in (self._read.get(name), self._watched.get(name)):
                if known is not None and (known.version, known.value) == (version, value):
                    seen[name] = known
                    return known
            seen[name] = Record(value=value, version=version, received_at=self._clock.now())
            return seen[name]
