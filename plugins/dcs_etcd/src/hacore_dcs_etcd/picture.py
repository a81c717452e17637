"""What the store shows, as the watch keeps it between two readings: read at one revision, each change after that applied in order.

A picture is worth what proves that the watch still tells everything. Three things do, each from the instant at which it was sent: a
reading; a write of this session, once the watch has told of it; and a keep-alive whose answer names no later revision than the watch has
told of. The last is the word of one server that reaches its leader, not of a majority, so it does not count for long.
"""

import math
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hacore.model.clock import Instant
from hacore_dcs_etcd.wire import Kv

_UNPROVEN: Final = 8.0  # times the age that will do: for so long keep-alives alone confirm a picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that the watch tells: a key was written, or removed."""

    kv: Kv
    is_removal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A picture that will do."""

    sent_at: Instant  # it shows everything that was answered before
    revision: int
    kvs: tuple[Kv, ...]


class Picture:
    """The session's thread reads, writes and recalls; the watch's thread tells."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._told = math.inf  # every change after this revision is told; infinite: none is
        self._kvs: dict[str, Kv] | None = None  # ``None``: nothing that can be kept
        self._revision = 0  # which ``_kvs`` shows
        self._written: tuple[float, Instant] = (0, -math.inf)  # revision of the newest write of this session, and when it was sent
        self._proven_at: Instant = -math.inf
        self._confirmed_at: Instant = -math.inf

    def followed(self, revision: int) -> None:
        """Begin: the watch stands, and tells every change after this revision."""
        with self._mutex:
            self._told, self._kvs = revision, None

    def interrupted(self) -> None:
        """End: nobody tells any more what happens."""
        with self._mutex:
            self._told, self._kvs = math.inf, None

    def tell(self, changes: Iterable[Change]) -> None:
        """Apply what happened at one moment."""
        with self._mutex:
            for change in changes:
                self._told = max(self._told, change.kv.version)
                if self._kvs is None or change.kv.version <= self._revision:
                    continue
                if change.is_removal:
                    self._kvs.pop(change.kv.name, None)
                else:
                    self._kvs[change.kv.name] = change.kv
            self._revision = max(self._revision, int(self._told)) if self._kvs is not None else 0
            if self._kvs is not None and self._revision >= self._written[0]:
                self._proven_at = max(self._proven_at, self._written[1])

    def read(self, sent_at: Instant, revision: int, kvs: Iterable[Kv]) -> None:
        """Begin anew from a reading; one that is behind what the watch has told already cannot be kept."""
        with self._mutex:
            is_whole = revision >= self._told
            self._kvs = {kv.name: kv for kv in kvs} if is_whole else None
            self._revision, self._proven_at, self._written = revision, sent_at, (0, -math.inf)

    def wrote(self, sent_at: Instant, revision: float) -> None:
        """Note a write of this session; one whose outcome is unknown has an infinite revision. Only what shows it can be recalled."""
        with self._mutex:
            self._written = (revision, sent_at)
            if self._revision >= revision:  # the watch was faster
                self._proven_at = max(self._proven_at, sent_at)

    def confirm(self, sent_at: Instant, revision: int) -> None:
        """Note that a server which reaches its leader knew of this revision, and of none after it."""
        with self._mutex:
            if revision <= self._revision:
                self._confirmed_at = max(self._confirmed_at, sent_at)

    def recall(self, now: Instant, max_age_s: float) -> Kept | None:
        """Return the picture, if it is known to be no older than this."""
        with self._mutex:
            if self._kvs is None or self._revision < self._written[0] or now - self._proven_at > max_age_s * _UNPROVEN:
                return None
            sent_at = max(self._proven_at, self._confirmed_at)
            if now - sent_at > max_age_s:
                return None
            return Kept(sent_at=sent_at, revision=self._revision, kvs=tuple(self._kvs.values()))
