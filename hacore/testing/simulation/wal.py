"""WAL as PostgreSQL has it: records at positions, timelines that leave each other, and which log is a prefix of which.

A record is one object wherever it was copied to, and belongs to exactly one past: two logs that share a record share all before it.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Self

from hacore.model.lsn import Lsn
from hacore.model.node import DirectoryState
from hacore.model.timeline import TimelineHistory, TimelineSwitch

FIRST_LSN: Final = Lsn(0x3000000)
_CHECKPOINT_BYTES: Final = 120


class RecordKind(StrEnum):
    """Of a record, as far as anybody asks."""

    COMMIT = "commit"
    CHECKPOINT = "checkpoint"
    SHUTDOWN = "shutdown checkpoint"
    NEW_TIMELINE = "end of recovery"


class WalRecord:
    """One record. Identity is everything: never compare by value."""

    __slots__ = ("at", "commit", "end", "history", "kind", "start")

    def __init__(self, start: Lsn, size: int, kind: RecordKind, history: TimelineHistory, at: float, commit: int | None) -> None:
        self.start = start
        self.end = Lsn(start + size)
        self.kind = kind
        self.history = history
        self.at = at
        self.commit = commit


class Log:
    """The WAL of one data directory."""

    __slots__ = ("records",)

    def __init__(self, records: list[WalRecord] | None = None) -> None:
        self.records = records if records is not None else []

    @property
    def end(self) -> Lsn:
        """Return where the log ends."""
        return self.records[-1].end if self.records else FIRST_LSN

    @property
    def history(self) -> TimelineHistory:
        """Return the timeline at the end, and those that it descends from."""
        return self.records[-1].history if self.records else TimelineHistory(timeline=1)

    @property
    def timeline(self) -> int:
        """Return the timeline at the end."""
        return self.history.timeline

    def append(self, kind: RecordKind, size: int, at: float, commit: int | None = None) -> WalRecord:
        """Write a record."""
        record = WalRecord(self.end, size, kind, self.history, at, commit)
        self.records.append(record)
        return record

    def checkpoint(self, kind: RecordKind, at: float) -> WalRecord:
        """Write a checkpoint."""
        return self.append(kind, _CHECKPOINT_BYTES, at)

    def switch_timeline(self, timeline: int, at: float) -> WalRecord:
        """Leave the timeline: what is written from here on is of a new one."""
        old = self.history
        switch = TimelineSwitch(timeline=old.timeline, switchpoint=self.end, reason="no recovery target specified")
        history = TimelineHistory(timeline=timeline, switches=(*old.switches, switch))
        record = WalRecord(self.end, _CHECKPOINT_BYTES, RecordKind.NEW_TIMELINE, history, at, None)
        self.records.append(record)
        return record

    def is_prefix_of(self, other: Self) -> bool:
        """Tell whether everything here stands in ``other``, at the same place."""
        count = len(self.records)
        return count == 0 or (count <= len(other.records) and other.records[count - 1] is self.records[-1])

    def common(self, other: Self) -> int:
        """Count the records that two logs share."""
        low, high = 0, min(len(self.records), len(other.records))
        while low < high:
            middle = (low + high + 1) // 2
            if self.records[middle - 1] is other.records[middle - 1]:
                low = middle
            else:
                high = middle - 1
        return low

    def take(self, other: Self, count: int) -> None:
        """Append the next ``count`` records of ``other``, byte by byte as a wal receiver does."""
        have = len(self.records)
        self.records.extend(other.records[have : have + count])

    def copy(self) -> "Log":
        """Return the same log in another directory."""
        return Log(list(self.records))


@dataclass(slots=True, kw_only=True)
class Directory:
    """One data directory on the disk of one machine."""

    state: DirectoryState = DirectoryState.EMPTY
    mark: str | None = None
    system_id: str = ""
    log: Log
    standby_signal: bool = False
    control_state: str = "shut down"
    checkpoint: Lsn = FIRST_LSN
    checkpoint_timeline: int = 1
    slots: dict[str, Lsn] = field(default_factory=dict)

    @classmethod
    def empty(cls) -> Self:
        """Return one without any file."""
        return cls(log=Log())

    def note_checkpoint(self, record: WalRecord, control_state: str) -> None:
        """Write the control file after a checkpoint."""
        self.checkpoint, self.checkpoint_timeline, self.control_state = record.start, record.history.timeline, control_state

    def copy_of(self) -> "Directory":
        """Return a base backup of this directory."""
        return replace(self, log=self.log.copy(), standby_signal=True, control_state="in archive recovery", mark=None, slots={})
