"""Timeline history files (PostgreSQL documentation 26.3.6): reading and writing their text, and finding them in ``pg_wal``."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Final

from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory, TimelineSwitch
from hacore.postgres.files import read_if_there

_LINE: Final = re.compile(r"\s*(\d+)\s+([0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8})(?:\s+(.*?))?\s*")
_NAME: Final = re.compile(r"([0-9A-F]{8})\.history")
FIRST: Final = 1


def name_of(timeline: int) -> str:
    """Return the name of a timeline's history file."""
    return f"{timeline:08X}.history"


def parse_history(timeline: int, text: str) -> TimelineHistory:
    """Read the text of a timeline's history file; comments and empty lines are passed over.

    :raises ValueError: a line is none of a history, or the lines do not ascend.
    """
    switches: list[TimelineSwitch] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"{name_of(timeline)}:{number}: {line[:60]!r} is no line of a history")
        switches.append(TimelineSwitch(timeline=int(match[1]), switchpoint=Lsn.parse(match[2]), reason=match[3] or ""))
    ascending = [*(switch.timeline for switch in switches), timeline]
    if any(left >= right for left, right in pairwise(ascending)):
        raise ValueError(f"{name_of(timeline)}: timelines {ascending} do not ascend")
    return TimelineHistory(timeline=timeline, switches=tuple(switches))


class HistoryReader:
    """Reads histories from ``pg_wal``; a history file never changes once it is written, so each is read once."""

    def __init__(self, wal_dir: Path) -> None:
        self._wal_dir = wal_dir
        self._known: TimelineHistory | None = None

    def of(self, timeline: int) -> TimelineHistory | None:
        """Return the history of a timeline; ``None`` where it is not here or not to be understood."""
        if self._known is None or self._known.timeline != timeline:
            self._known = self._read(timeline)
        return self._known

    def forget(self) -> None:
        """Read again next time: the directory was replaced."""
        self._known = None

    def newest(self) -> int | None:
        """Return the newest timeline that ``pg_wal`` has a history with content of."""
        try:
            names = [(_NAME.fullmatch(entry.name), entry) for entry in self._wal_dir.iterdir()]
        except OSError:
            return None
        return max((int(match[1], 16) for match, entry in names if match and entry.stat().st_size), default=None)

    def _read(self, timeline: int) -> TimelineHistory | None:
        if timeline == FIRST:
            return TimelineHistory(timeline=FIRST)
        text = read_if_there(self._wal_dir / name_of(timeline))
        if not text:  # an empty one only keeps its number from being chosen (safety.md 5)
            return None
        try:
            return parse_history(timeline, text)
        except ValueError:
            return None
