"""Which members count: those whose record, or the beat beside it, has changed within its ttl, on this session's own clock.

A member that renews the lock counts by that. A record that another product wrote has no beat: it counts as long as its pod stands.
"""

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hacore.interfaces import Record
from hacore.model.clock import Clock, Instant
from hacore.sightings import Sightings
from hacore_dcs_kubernetes.pods import Metadata

STATUS: Final = "status"
BEAT: Final = "hacore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What stands beside a record that this plugin wrote."""

    ttl_s: float
    number: int
    version: int  # of the record: the pod's, before it was written
    of: str  # checksum of the record: another product's record is not ours to let end

    @classmethod
    def read(cls, annotations: Mapping[str, str]) -> "Beat | None":
        """Read the beat of a record; ``None``: it has none, or one of an earlier record."""
        try:
            found = json.loads(annotations[BEAT])
            beat = cls(ttl_s=float(found["ttl"]), number=int(found["beat"]), version=int(found["version"]), of=str(found["of"]))
        except (KeyError, TypeError, ValueError):
            return None
        return beat if beat.of == checksum(annotations.get(STATUS, "")) else None

    def text(self) -> str:
        """Return the annotation."""
        return json.dumps({"ttl": self.ttl_s, "beat": self.number, "version": self.version, "of": self.of}, separators=(",", ":"))


class Beats:
    """Since when this session has known the beat of which member. Read by one thread, and told by that of the watch."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sightings = Sightings(clock)
        self._held: dict[str, Instant] = {}  # when the lock was last seen renewed by a member

    def renewed(self, holder: str, at: Instant) -> None:
        """Note that the lock of a member was seen as it stands at this instant."""
        self._held[holder] = at

    def record(self, name: str, pod: Metadata, *, is_holder: bool) -> Record | None:
        """Return the record of a member; ``None``: it has none, or does not count."""
        annotations: Mapping[str, str] = pod.get("annotations") or {}
        if STATUS not in annotations:
            return None
        value, beat = annotations[STATUS], Beat.read(annotations)
        if beat is None:
            return self._sightings.read(name, value, int(pod["resourceVersion"]))
        seen = self._sightings.read(f"{name} beats", beat.text(), beat.version)
        alive_at = max(seen.received_at, self._held.get(name, -math.inf))
        if not is_holder and self._clock.now() >= alive_at + beat.ttl_s:
            return None
        return self._sightings.read(name, value, beat.version)

    def listed(self, found: Mapping[str, Metadata]) -> None:
        """Take in how all pods stand, at the beginning of a watch; on its thread."""
        for name, pod in found.items():
            self.told(name, pod)

    def told(self, key: str, item: Metadata | None) -> None:
        """Take in the beat of a pod: it counts from when the watch told it; on its thread."""
        annotations: Mapping[str, str] = (item or {}).get("annotations") or {}
        beat = Beat.read(annotations)
        if beat is not None:
            self._sightings.watched(f"{key} beats", beat.text(), beat.version)
            self._sightings.watched(key, annotations[STATUS], beat.version)

    def forget(self) -> None:
        """Begin anew: the store is another one, or has gone back."""
        self._sightings.forget()
        self._held.clear()


def checksum(text: str) -> str:
    """Return what tells one record from another."""
    return f"{zlib.crc32(text.encode(errors='surrogateescape')):08x}"
