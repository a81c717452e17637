"""Names of WAL segments and what they say (PostgreSQL's ``XLogFileName``)."""

import re
from typing import Final, NamedTuple

FOLDER: Final = "wal_005/"
_NAME: Final = re.compile(r"[0-9A-F]{24}")


class Segment(NamedTuple):
    """One segment: its timeline, and its number from the beginning of WAL. They sort as WAL-G sorts them."""

    timeline: int
    number: int

    def name(self, size: int) -> str:
        """Return its name with segments of this size."""
        each = (1 << 32) // size
        return f"{self.timeline:08X}{self.number // each:08X}{self.number % each:08X}"

    def after(self, steps: int) -> "Segment":
        """Return the one so many steps later on the same timeline."""
        return Segment(self.timeline, self.number + steps)


def parse(name: str, size: int) -> Segment | None:
    """Return the segment that a file of this name is; ``None``: it is something else."""
    if not _NAME.fullmatch(name):
        return None
    timeline, log, part = (int(name[start : start + 8], 16) for start in (0, 8, 16))
    return Segment(timeline, log * ((1 << 32) // size) + part)


def parse_history(text: str) -> dict[int, int]:
    """Return where each ancestor of a timeline was left, as a position in WAL, from a history file."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0].isdigit():
            high, _, low = words[1].partition("/")
            found[int(words[0])] = (int(high, 16) << 32) + int(low, 16)
    return found
