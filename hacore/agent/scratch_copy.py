"""The one directory in which a node's copies for checks are made. Only what carries this node's own mark is removed."""

import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hacore.errors import DataDirectoryError
from hacore.postgres.files import read_if_there, write_durably

MARK: Final = "hacore-check"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchCopy:
    """A directory of this node in one that others may use, too: other clusters of the machine, or people."""

    root: Path
    scope: str
    member: str
    data_dir: Path  # of the node: two clusters of one name may be on a machine, never two agents of one data directory

    @property
    def place(self) -> Path:
        """Where the copy is, without ``%``, which a ``restore_command`` would not take as it is. The mark tells apart what looks alike."""
        return self.root / re.sub(r"[^\w.@-]", "_", f"hacore-{self.member}@{self.scope}")

    def make(self) -> Path:
        """Return the place, made anew: what an agent has left that was killed is removed.

        :raises DataDirectoryError: it is not seen to be this node's.
        """
        place = self.place
        if place.is_symlink() or (place.exists() and not self._is_own()):
            raise DataDirectoryError(
                f"{place} is no copy that this node has made to check a backup: move it away, or set backup.scratch_dir"
            )
        self._remove()
        place.mkdir(mode=0o700, parents=True)
        write_durably(place / MARK, self._owner)
        return place

    def remove(self) -> None:
        """Remove the copy; what cannot be removed keeps the mark, for the next one."""
        with suppress(OSError):
            self._remove()

    @property
    def _owner(self) -> str:
        return f"{self.scope}\n{self.member}\n{self.data_dir}\n"

    def _is_own(self) -> bool:
        """Tell whether it carries the mark, or has nothing yet: an agent may be killed before it has set it."""
        place = self.place
        return place.is_dir() and (read_if_there(place / MARK) == self._owner or not any(place.iterdir()))

    def _remove(self) -> None:
        place = self.place
        if not place.exists():
            return
        for entry in place.iterdir():
            if entry.name != MARK:
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        (place / MARK).unlink(missing_ok=True)  # last: without it nobody would remove the rest
        place.rmdir()
