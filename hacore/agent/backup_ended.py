"""How work on backups ends on a node."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How work ended. ``error`` ``None``: it was done. ``is_found_bad``: the error is of the backup, else it says nothing of it.

    ``may_lack_wal``: the archive did not have all the WAL of the backup, which would explain the error.
    """

    error: str | None = None
    detail: str = ""
    backup: str | None = None
    is_found_bad: bool = False
    may_lack_wal: bool = False
