"""What the live view shows at one moment, as frozen values. It knows neither how they came about nor how they look."""

from dataclasses import dataclass
from enum import Enum


class Mood(Enum):
    """How an entry of the log is meant."""

    PLAIN = "plain"
    DONE_TO = "done to"  # what a person did to the cluster
    GOOD = "good"
    BAD = "bad"
    HINT = "hint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the event log."""

    at: str  # time of day
    text: str
    mood: Mood = Mood.PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRow:
    """One node."""

    name: str
    role: str = ""
    state: str = "starts"
    timeline: int | None = None
    lag_bytes: int | None = None  # behind what the leader published last; ``None``: not known, or it leads
    trouble: str | None = None  # what we did to it: killed, its agent frozen

    @property
    def leads(self) -> bool:
        """Whether it holds the lock, dead or alive."""
        return self.role == "leader"


@dataclass(frozen=True, slots=True, kw_only=True)
class Writes:
    """The write load."""

    rate: float = 0.0  # rows acknowledged a second
    recent: tuple[int, ...] = ()  # rows of each short time, the newest last
    silent_s: float = 0.0  # since the last acknowledgement
    acknowledged: int = 0
    unknown: int = 0
    lost: int = 0
    two_writers: int = 0
    last_gap: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All of it."""

    title: str
    elapsed_s: float
    members: tuple[MemberRow, ...]
    writes: Writes | None  # ``None``: not yet
    log: tuple[Entry, ...]
    busy_with: str | None = None  # what is still being measured
