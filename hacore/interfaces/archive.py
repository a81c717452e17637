"""How the write-ahead log of a cluster is archived and fetched again (integrations reference 1 and 14.4)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose WAL it is. A clone has the system identifier of its origin, therefore the scope."""

    system_id: str
    major_version: int
    scope: str
    timeline: int | None = None  # of the leader


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveEmpty:
    """Nothing is there yet: it may become this cluster's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveOwned:
    """What is there is this cluster's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveConflict:
    """What is there is another cluster's: nothing is archived before a person has decided."""

    owner: str  # for people: whose it is


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSettings:
    """What the core makes ``archive_command`` and ``restore_command`` of. It never installs a tool's command directly.

    In ``push`` and ``fetch``, ``%p`` is the path of the file and ``%f`` its name, as in PostgreSQL's own settings; both programs run in the
    data directory. A push of the same name and content again must succeed, one of other content must fail.
    """

    push: tuple[str, ...]
    fetch: tuple[str, ...]
    missing_codes: tuple[int, ...]  # exit codes of ``fetch`` that mean "not in the archive"; every other but 0 means "broken"
    conflict_codes: tuple[int, ...] = ()  # exit codes of ``push`` that mean "another file of this name is there": a person must look
    library: str | None = None  # ``archive_library`` in place of ``archive_command`` (PostgreSQL 15); leftovers still go by ``push``
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # for both programs; kept in a file of mode 0600
    parameters: tuple[tuple[str, str], ...] = ()  # further settings of the server, where nobody has set them
    push_limit_s: float = 300.0  # for one segment
    fetch_limit_s: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveStatus:
    """What the archive holds. ``None``: it cannot tell."""

    last_segment: str | None = None  # newest WAL file
    gaps: tuple[str, ...] = ()  # ranges of segments that are missing, for people
