"""What others tell of having heard of this session's writes: it proves how new is what a watch tells, and costs no request.

A leader says in each renewal since when it has known the newest beat of each member, and a beat says likewise of the newest renewal. So
whoever is told of that answer knows that it was sent no earlier than the own write, and later by the time that the other had known it. All
changes of one kind that had been answered by then have lower versions, and a watch tells them first. The instants are this session's own;
of another's clock only a span of seconds counts, and less of it by what two clocks may differ.
"""

import json
import math
import threading
from collections.abc import Mapping
from typing import Final

from hacore.model.clock import Clock, Instant

HEARD: Final = "hacore-heard"  # of the leader's object: the beats, each with the seconds since when it is known
_RATE: Final = 0.9  # the margin of the lock, too, allows for a tenth
_KEPT: Final = 32

NOT_UNDERSTOOD: Final = (KeyError, TypeError, ValueError, OverflowError, RecursionError)  # what reading somebody's annotation may raise
Heard = tuple[str, float]  # what was heard of, and for how many seconds it has been known


class Sent:
    """When this session sent what others tell of. Told by its thread, asked by those of the watches."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._mutex = threading.Lock()
        self._sent: dict[str, Instant] = {}

    def note(self, what: str, at: Instant) -> None:
        """Note a write before its answer is used; one that may have been sent twice counts from the first time."""
        with self._mutex:
            self._sent.setdefault(what, at)
            while len(self._sent) > _KEPT:
                del self._sent[next(iter(self._sent))]

    def proven(self, heard: Heard | None) -> Instant | None:
        """Return the instant after which somebody has written that it heard of that."""
        with self._mutex:
            at = None if heard is None else self._sent.get(heard[0])
        return None if at is None or heard is None else min(at + heard[1] * _RATE, self._clock.now())

    def forget(self) -> None:
        """Begin anew: the store is another one, or has gone back."""
        with self._mutex:
            self._sent.clear()


def told_s(age_s: float) -> float:
    """Return how long something has been known, as it is told: no longer than it has been."""
    return math.floor(age_s * 1000) / 1000


def text_of(heard: Mapping[str, Heard]) -> str:
    """Return the annotation of the leader's object."""
    return json.dumps({name: [what, told_s(age_s)] for name, (what, age_s) in sorted(heard.items())}, separators=(",", ":"))


def of_member(text: str | None, member: str) -> Heard | None:
    """Read what that annotation says of one member."""
    if text is None or f'"{member}"' not in text:
        return None
    try:
        return pair(json.loads(text)[member])
    except NOT_UNDERSTOOD:
        return None


def pair(found: object) -> Heard | None:
    """Read what was heard of and for how long; ``None``: neither.

    :raises OverflowError: for longer than a number can say.
    """
    if not isinstance(found, list) or len(found) != 2 or not isinstance(found[0], str):  # noqa: PLR2004 - a pair
        return None
    return (found[0], float(found[1])) if isinstance(found[1], int | float) and 0 <= found[1] < float("inf") else None
