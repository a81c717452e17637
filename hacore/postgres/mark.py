"""The mark that says which work on the data directory has begun and not ended.

It stands in the state directory, beside the data directory: inside it a base backup would copy it and initdb refuse it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hacore.postgres.files import read_if_there, remove_durably, write_durably

NAME = "unfinished"


class Mark:
    """At most one kind of unfinished work."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / NAME

    def read(self) -> str | None:
        """Return the work that has begun and not ended."""
        text = read_if_there(self._path)
        return None if text is None else text.strip() or "unknown work"

    def set(self, work: str) -> None:
        """Note, before anything is touched, that ``work`` begins."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(self._path, f"{work}\n")

    def clear(self) -> None:
        """Note, after everything is on the disk, that the directory is whole."""
        if self._path.parent.exists():
            remove_durably(self._path)

    @contextmanager
    def during(self, work: str) -> Iterator[None]:
        """Mark the directory for the time of a block; an exception, like a crash, leaves the mark."""
        self.set(work)
        yield
        self.clear()
