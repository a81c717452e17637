"""What the store shows, as the watch keeps it between two readings: the newest answer, whole.

An answer to a consistent question shows everything that was answered before the question was sent: Consul's leader looks at its store after
a majority has told it that it still leads. That it has kept the question open for long proves nothing more.
"""

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from hacore.model.clock import Instant
from hacore_dcs_consul.wire import Kv


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A picture that will do."""

    sent_at: Instant  # it shows everything that was answered before
    index: int
    found: Mapping[str, Kv]


class Picture:
    """The session's thread reads, writes and recalls; the watch's thread tells."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._is_followed = False
        self._kept: Kept | None = None
        self._written: float = 0  # index of the newest write of this session

    def tell(self, shown: Kept) -> None:
        """Take what the watch was answered."""
        with self._mutex:
            self._is_followed = True
            self._take(shown)

    def interrupted(self) -> None:
        """Forget: nobody tells any more what happens."""
        with self._mutex:
            self._is_followed, self._kept = False, None

    def read(self, shown: Kept) -> None:
        """Take a reading, which shows what this session wrote; kept only while the watch goes on from it."""
        with self._mutex:
            self._written = 0
            if self._is_followed:
                self._take(shown)

    def wrote(self, index: float) -> None:
        """Note a write of this session; one whose outcome or index is unknown is infinite. Only what shows it can be recalled."""
        with self._mutex:
            self._written = max(self._written, index)

    def recall(self, now: Instant, max_age_s: float) -> Kept | None:
        """Return the picture, if it is known to be no older than this."""
        with self._mutex:
            kept = self._kept
            if kept is None or kept.index < self._written or now - kept.sent_at > max_age_s:
                return None
            return kept

    def _take(self, shown: Kept) -> None:
        """Keep the newer of two; of two that are not of one store, or came out of order, neither."""
        proven_at = -math.inf if self._kept is None else self._kept.sent_at
        if self._kept is not None and shown.index < self._kept.index:
            self._kept = None
        else:  # the later shows what the earlier showed, so it is as new as either of them was known to be
            self._kept = Kept(sent_at=max(shown.sent_at, proven_at), index=shown.index, found=shown.found)
