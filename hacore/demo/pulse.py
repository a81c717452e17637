"""How fast a write load goes: rows in each short time, from the instants of their acknowledgements. Pure."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

SLOT_S: Final = 0.25
SLOTS: Final = 400  # more than a terminal is wide
_RATE_SLOTS: Final = 8


def rows_per_slot(acks: Iterable[float], begin: float, now: float) -> tuple[int, ...]:
    """Count rows in each short time since ``begin`` that is over, the newest last, at most :data:`SLOTS` of them."""
    end = int(now / SLOT_S)
    first = max(int(begin / SLOT_S) + 1, end - SLOTS)
    counts = Counter(int(ack / SLOT_S) for ack in acks)
    return tuple(counts[slot] for slot in range(first, end))


def rate_of(recent: tuple[int, ...]) -> float:
    """Rows a second over the last two seconds."""
    latest = recent[-_RATE_SLOTS:]
    return sum(latest) / (len(latest) * SLOT_S) if latest else 0.0
