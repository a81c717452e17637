"""Room for a copy that is restored only to be looked at: of a disk that the server writes to, it may not take the last."""

import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hacore.errors import DataDirectoryError
from hacore.postgres.job import JobHandle

RESERVE_BYTES: Final = 2 << 30  # of a disk that a server writes to: what it may write until the copy is gone
_SPARE: Final = 1.1  # of what the restore writes
_LOOK_S: Final = 0.5


def _free(path: Path) -> int:
    return shutil.disk_usage(path).free


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchRoom:
    """The directory for copies. ``is_shared``: a server writes to its disk."""

    root: Path
    is_shared: bool
    free: Callable[[Path], int] = _free

    def refuse_without(self, needed: int | None) -> None:
        """Return where a copy has room.

        :param needed: what the restore writes; ``None``: the tool does not tell.
        :raises DataDirectoryError: it has not, or nobody can know.
        """
        if needed is None and self.is_shared:
            raise DataDirectoryError(
                f"{self.root} is on a disk of the server, and the tool does not tell how much the backup needs: set backup.scratch_dir"
            )
        wanted = int((needed or 0) * _SPARE) + (RESERVE_BYTES if self.is_shared else 0)
        free = self.free(self.root)
        if wanted > free:
            kept = f", {RESERVE_BYTES >> 20} of it for the server on this disk" if self.is_shared else ""
            raise DataDirectoryError(
                f"{self.root}: {free >> 20} MiB are free, the backup needs {wanted >> 20}{kept}: set backup.scratch_dir"
            )

    @contextmanager
    def watched(self, job: JobHandle) -> Iterator[None]:
        """Cancel the work as soon as the reserve is touched, whoever takes it: the server must not run out of disk."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(_LOOK_S):
                free = self.free(self.root)
                if free < RESERVE_BYTES:
                    job.cancel(f"{self.root}: {free >> 20} MiB are free, on a disk of the server: set backup.scratch_dir")
                    return

        thread = threading.Thread(target=watch, name="scratch room", daemon=True)
        if self.is_shared:
            thread.start()
        try:
            yield
        finally:
            over.set()
            if self.is_shared:
                thread.join()


def is_shared(root: Path, used: Iterable[Path]) -> bool:
    """Tell whether a directory is on the disk of one that a server uses."""
    device = root.stat().st_dev
    return any(one.stat().st_dev == device for one in used if one.exists())
