"""What is known of the archive of this node's WAL."""

from dataclasses import dataclass
from enum import StrEnum


class ArchiveIdentity(StrEnum):
    """Whose the archive is, as far as this node knows."""

    UNASKED = "unasked"  # it is asked where this node is primary
    UNANSWERED = "unanswered"  # it was asked and did not answer
    OWN = "own"  # this cluster's, or it cannot tell
    CONFLICT = "conflict"  # another cluster's: nothing is pushed before a person has decided


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveState:
    """One look at the archive. ``None``: not known."""

    name: str  # of its plugin
    identity: ArchiveIdentity
    is_watched: bool = False  # this node is the primary whose WAL goes there
    owner: str | None = None  # of an archive that is another cluster's
    fault: str | None = None  # for people: why nothing is pushed; while the reason is the same, so is the text
    ready_files: int | None = None  # that wait to be pushed
    oldest_ready_s: float | None = None  # for how long the oldest of them has waited
    pushed: int | None = None  # by this server, as it counts
    failed: int | None = None
    fetches_broken: int = 0  # times that the archive was broken when a file was fetched
    last_segment: str | None = None  # newest WAL file in the archive, as its plugin says
    gaps: tuple[str, ...] = ()
