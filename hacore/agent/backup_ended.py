"""How work on backups ends on a node."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How work ended. ``error`` ``None``: it was done. ``is_found_bad``: the error is of the backup, else it says nothing of it."""

    error: str | None = None
    detail: str = ""
    backup: str | None = None
    is_found_bad: bool = False
