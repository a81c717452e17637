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
from hacore_dcs_kubernetes.heard import NOT_UNDERSTOOD, Heard, Sent, pair, told_s
from hacore_dcs_kubernetes.picture import Picture
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
    heard: Heard | None = None  # the newest renewal of the lock

    @classmethod
    def read(cls, annotations: Mapping[str, str]) -> "Beat | None":
        """Read the beat of a record; ``None``: it has none, one of an earlier record, or one that is not understood.

        Whoever may write to a pod may write anything here: that may cost its own member, and no other one.
        """
        try:
            found = json.loads(annotations[BEAT])
            beat = cls(
                ttl_s=float(found["ttl"]),
                number=int(found["beat"]),
                version=int(found["version"]),
                of=str(found["of"]),
                heard=pair(found.get("heard")),
            )
            is_whole = math.isfinite(beat.ttl_s) and beat.ttl_s > 0 and beat.of == checksum(annotations.get(STATUS, ""))
        except NOT_UNDERSTOOD:
            return None
        return beat if is_whole else None

    def text(self) -> str:
        """Return the annotation."""
        heard = {} if self.heard is None else {"heard": [self.heard[0], told_s(self.heard[1])]}
        found = {"ttl": self.ttl_s, "beat": self.number, "version": self.version, "of": self.of, **heard}
        return json.dumps(found, separators=(",", ":"))

    @property
    def name(self) -> str:
        """Return what tells this beat from every other one of its member, also of an earlier pod."""
        return f"{self.version}.{self.number}"


class Beats:
    """Since when this session has known the beat of which member. Read by one thread, and told by that of the watch."""

    def __init__(self, clock: Clock, picture: Picture[Metadata], renewals: Sent) -> None:
        self._clock = clock
        self._picture = picture
        self._renewals = renewals
        self._sightings = Sightings(clock)
        self._told: dict[str, tuple[Beat, Instant]] = {}  # the newest of each member, and since when it is known
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
        if beat is None:
            self._told.pop(key, None)
            return
        seen = self._sightings.watched(f"{key} beats", beat.text(), beat.version)
        self._sightings.watched(key, annotations[STATUS], beat.version)
        self._told[key] = (beat, seen.received_at)
        self._picture.prove(self._renewals.proven(beat.heard))

    def newest(self) -> dict[str, tuple[Beat, Instant]]:
        """Return the newest beat of each member that the watch has told and that has not ended, and since when it is known."""
        now = self._clock.now()
        return {name: (beat, at) for name, (beat, at) in self._told.copy().items() if now < at + beat.ttl_s}

    def forget(self) -> None:
        """Begin anew: the store is another one, or has gone back."""
        self._sightings.forget()
        self._held.clear()
        self._told.clear()


def checksum(text: str) -> str:
    """Return what tells one record from another."""
    return f"{zlib.crc32(text.encode(errors='surrogateescape')):08x}"
