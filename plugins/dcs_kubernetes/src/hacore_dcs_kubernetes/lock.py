"""The leader's lock as it stands in an object, and its time, which every session counts on its own clock. Pure but for that clock.

The API server ends nothing by itself. A lock ends for whoever has seen it unchanged for its time to live: whatever the wall clocks say,
and never earlier than for its holder, who counts from before the request was sent.
"""

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from hacore.model.clock import Clock, Instant
from hacore.model.lease import Lock

_KEYS: Final = ("leader", "ttl", "renewTime", "acquireTime", "transitions")
_DEFAULT_TTL_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRecord:
    """What the holder, or whoever gave the lock back, wrote last."""

    holder: str | None
    ttl_s: float = _DEFAULT_TTL_S
    renewed: str = ""
    acquired: str = ""
    transitions: int = 0

    @property
    def lock(self) -> Lock | None:
        """Return the lock; ``None``: nobody holds it, whatever the time."""
        if self.holder is None:
            return None
        return Lock(holder=self.holder, instance=f"{self.acquired}#{self.transitions}")

    def taken_by(self, member: str, wall: datetime, ttl_s: float) -> "LockRecord":
        """Return the record of a new holding."""
        return LockRecord(holder=member, ttl_s=ttl_s, renewed=_iso(wall), acquired=_iso(wall), transitions=self.transitions + 1)

    def renewed_at(self, wall: datetime, ttl_s: float) -> "LockRecord":
        """Return the record of the same holding, renewed."""
        return LockRecord(holder=self.holder, ttl_s=ttl_s, renewed=_iso(wall), acquired=self.acquired, transitions=self.transitions)

    def given_back(self, wall: datetime) -> "LockRecord":
        """Return the record that nobody holds."""
        return LockRecord(holder=None, ttl_s=self.ttl_s, renewed=_iso(wall), acquired=self.acquired, transitions=self.transitions)

    def as_annotations(self) -> dict[str, str | None]:
        """Return the field's annotations of the leader object."""
        values = (self.holder, str(math.ceil(self.ttl_s)), self.renewed, self.acquired, str(self.transitions))
        return dict(zip(_KEYS, values, strict=True))

    def as_lease(self) -> dict[str, Any]:
        """Return the ``spec`` of a Lease."""
        return {
            "holderIdentity": self.holder,
            "leaseDurationSeconds": math.ceil(self.ttl_s),
            "renewTime": self.renewed.replace("+00:00", "Z"),
            "acquireTime": self.acquired.replace("+00:00", "Z"),
            "leaseTransitions": self.transitions,
        }


def from_annotations(found: Mapping[str, str]) -> LockRecord:
    """Read the field's annotations; what is not understood counts as it does for the field: nobody, or the usual time."""
    return LockRecord(
        holder=found.get("leader") or None,
        ttl_s=_number(found.get("ttl"), _DEFAULT_TTL_S),
        renewed=found.get("renewTime", ""),
        acquired=found.get("acquireTime", ""),
        transitions=int(_number(found.get("transitions"), 0)),
    )


def from_lease(spec: Mapping[str, Any]) -> LockRecord:
    """Read the ``spec`` of a Lease."""
    return LockRecord(
        holder=spec.get("holderIdentity") or None,
        ttl_s=_number(spec.get("leaseDurationSeconds"), _DEFAULT_TTL_S),
        renewed=str(spec.get("renewTime") or ""),
        acquired=str(spec.get("acquireTime") or ""),
        transitions=int(_number(spec.get("leaseTransitions"), 0)),
    )


class OwnClock:
    """Since when this session has seen the lock as it is; what it read and what its watch told need not agree at each moment."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._mutex = threading.Lock()
        self._read: tuple[LockRecord, Instant] | None = None
        self._watched: tuple[LockRecord, Instant] | None = None

    def read(self, record: LockRecord, *, at: Instant | None = None) -> Lock | None:
        """Note what an answer shows, or with ``at`` what this session has written itself; return the lock unless it has expired."""
        with self._mutex:
            since = self._since(record, at)
            self._read = (record, since)
        return record.lock if self._clock.now() < since + record.ttl_s else None

    def watched(self, record: LockRecord) -> Instant:
        """Note what the watch told; return when that lock expires."""
        with self._mutex:
            since = self._since(record, None)
            self._watched = (record, since)
        return since + record.ttl_s

    def seen_at(self, record: LockRecord) -> Instant:
        """Return since when a lock is known as it stands; now, where it is not."""
        with self._mutex:
            return self._since(record, None)

    def forget(self) -> None:
        """Begin anew: the store is another one, or has gone back."""
        with self._mutex:
            self._read = self._watched = None

    def _since(self, record: LockRecord, at: Instant | None) -> Instant:
        known = [since for seen in (self._read, self._watched) if seen is not None for one, since in [seen] if one == record]
        return min([*known, *([] if at is None else [at])], default=self._clock.now())


def _iso(wall: datetime) -> str:
    """Write an instant with all six digits: a Lease wants them, an annotation of the field may have them."""
    return wall.isoformat(timespec="microseconds")


def _number(text: object, otherwise: float) -> float:
    try:
        found = float(str(text))
    except ValueError:
        return otherwise
    return found if math.isfinite(found) and found >= 0 else otherwise
