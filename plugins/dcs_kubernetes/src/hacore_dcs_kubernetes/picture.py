"""What one kind of object shows, as its watch keeps it between two readings: read at one version, each change after that applied in order.

A picture is worth what proves that the watch still tells everything. Three things do, each from the instant at which it was sent: a
reading, and a write to an object of the same kind, once the watch has told of it, of this session, or of another that has heard of a write
of this one (``heard.py``). For the server orders all changes of one kind by their versions, and tells a watch of them in that order; what
was answered before the write was sent has a lower one. Nothing else counts. A bookmark says up to which version the watch has told
everything, not when that version was the newest: a server that its etcd has left behind sends bookmarks, too. And the versions of two kinds
need not belong together: a cluster may keep each in an etcd of its own.
"""

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from hacore.model.clock import Instant

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Generic[T]):
    """A picture that will do."""

    sent_at: Instant  # it shows everything that was answered before
    revision: int
    items: Mapping[str, T]


class Picture(Generic[T]):
    """The session's thread reads, writes and recalls; the thread of the watch begins, tells and ends."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._followed: float = math.inf  # every change after this version is told; infinite: none is
        self._items: dict[str, T] | None = None  # ``None``: nothing that can be kept
        self._revision = 0  # which ``_items`` shows, or the newest that was read
        self._written: tuple[float, Instant] = (0, -math.inf)  # version of the newest write of this session, and when it was sent
        self._proven_at: Instant = -math.inf

    # --------------------------------------------------------------------------------------------- by the watch
    def followed(self, sent_at: Instant, revision: int, items: Mapping[str, T]) -> None:
        """Begin with a reading of the watch's own, after which it tells every change; not with one that is behind the session's."""
        with self._changed:
            self._followed = revision
            self._items = dict(items) if revision >= self._revision else None
            if self._items is not None:
                self._revision, self._proven_at = revision, max(self._proven_at, sent_at)
            self._changed.notify_all()

    def interrupted(self) -> None:
        """End: nobody tells any more what happens."""
        with self._changed:
            self._followed, self._items = math.inf, None
            self._changed.notify_all()

    @property
    def is_followed(self) -> bool:
        """Tell whether somebody tells what happens; the watch begins anew where this is said to be over."""
        return self._followed != math.inf

    def tell(self, revision: int, key: str | None = None, item: T | None = None) -> None:
        """Apply a change, of which ``None`` is a removal; without a key: nothing else has happened up to this version."""
        with self._changed:
            if self._items is None:
                if self.is_followed:
                    self._followed = max(self._followed, revision)  # only a reading that has this change, too, can be kept
                return
            if revision <= self._revision:
                return
            if key is not None and item is None:
                self._items.pop(key, None)
            elif key is not None and item is not None:
                self._items[key] = item
            self._revision = revision
            self._prove()
            self._changed.notify_all()

    def prove(self, sent_at: Instant | None) -> None:
        """Note when a write was sent at the earliest that was told last, or before; ``None``: nobody knows."""
        with self._changed:
            if self._items is not None and sent_at is not None:
                self._proven_at = max(self._proven_at, sent_at)

    # --------------------------------------------------------------------------------------------- by the session
    def read(self, sent_at: Instant, revision: int, items: Mapping[str, T]) -> None:
        """Begin anew from a reading; one that is behind what the watch has told already cannot be kept."""
        with self._changed:
            told = self._followed if self._items is None else max(self._followed, self._revision)
            self._items = dict(items) if revision >= told else None
            self._followed = told
            self._revision, self._proven_at, self._written = revision, sent_at, (0, -math.inf)

    def wrote(self, sent_at: Instant, revision: float) -> None:
        """Note a write of this session; one whose outcome is unknown has an infinite version. Only what shows it can be recalled."""
        with self._changed:
            self._written = (revision, sent_at)
            self._prove()  # the watch may have been faster

    def wait(self, seconds: float) -> None:
        """Wait for the watch to tell of the newest write of this session, where it will."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._items is None or self._written[0] == math.inf or self._revision >= self._written[0], seconds
            )

    def recall(self, since: Instant) -> Kept[T] | None:
        """Return the picture, if it is known to show everything that was answered before this instant, and what this session wrote."""
        with self._changed:
            if self._items is None or self._revision < self._written[0] or self._proven_at < since:
                return None
            return Kept(sent_at=self._proven_at, revision=self._revision, items=dict(self._items))

    def _prove(self) -> None:
        if self._items is not None and self._revision >= self._written[0]:
            self._proven_at = max(self._proven_at, self._written[1])
