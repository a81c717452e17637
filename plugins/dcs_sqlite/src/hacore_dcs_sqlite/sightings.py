"""Since when this session has known which version of a record: what a challenger counts from."""

import threading

from hacore.interfaces import Record
from hacore.model.clock import Clock, Instant


class Sightings:
    """First receipt of the version that stands, by name. The watch and the session both see records: each from its own thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._mutex = threading.Lock()
        self._seen: dict[str, tuple[int, str, Instant]] = {}

    def record(self, name: str, value: str, version: int) -> Record:
        """Note what has just been received. A version that is lower, or other content under the same one, starts anew."""
        with self._mutex:
            known = self._seen.get(name)
            if known is None or known[:2] != (version, value):
                known = (version, value, self._clock.now())
                self._seen[name] = known
            return Record(value=value, version=version, received_at=known[2])
