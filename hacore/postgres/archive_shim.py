"""The programs by which PostgreSQL reaches an archive, on the disk: written whole and only when they change.

They stand in the state directory, beside the data directory, so that no copy of a data directory takes them along. What runs is in
``archive_scripts``; which archive it is, is the caller's.
"""

import contextlib
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hacore.guard.processes import parent_of
from hacore.interfaces import ArchiveSettings
from hacore.postgres import archive_scripts as scripts
from hacore.postgres.archive_scripts import ShimLimits, ShimPlace
from hacore.postgres.files import read_if_there, write_durably

DIRECTORY: Final = "archive"  # of a node's own archive, below its state directory
_PROGRAM_MODE: Final = 0o700
_TOLD: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveShim:
    """The two programs of one archive for one data directory. ``held``: why nothing may be pushed; ``None``: it may."""

    place: ShimPlace
    settings: ArchiveSettings
    held: str | None = None
    limits: ShimLimits = field(default_factory=ShimLimits)

    def write(self) -> bool:
        """Write programs and environment; tell whether one is another than before.

        :raises PluginError: the settings cannot be put into a program.
        :raises OSError: the disk did not take them.
        """
        self.place.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        push = scripts.push_text(self.place, self.settings, self.limits)
        if self.held is not None:
            push = scripts.held_text(self.held)
        # The environment first: a new program must not run with the old one's.
        is_new = _put(self.place.directory / scripts.ENVIRONMENT, scripts.environment_text(self.settings), 0o600)
        is_new |= _put(self.fetch_program, scripts.fetch_text(self.place, self.settings, self.limits), _PROGRAM_MODE)
        return is_new | _put(self.push_program, push, _PROGRAM_MODE)

    @property
    def push_program(self) -> Path:
        """The program that takes the path of a file and its name."""
        return self.place.directory / scripts.PUSH

    @property
    def fetch_program(self) -> Path:
        """The program that takes the name of a file and where to put it."""
        return self.place.directory / scripts.FETCH

    @property
    def archive_command(self) -> str:
        """Return ``archive_command``."""
        return scripts.command_of(self.push_program, "%p", "%f")

    @property
    def restore_command(self) -> str:
        """Return ``restore_command``."""
        return scripts.command_of(self.fetch_program, "%f", "%p")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShimNotes:
    """What the programs have left. ``None``: nothing of it has happened."""

    push_failed: str | None = None  # for people: code, file and the tool's last words
    fetches_broken: int = 0  # since the state directory was made
    last_fetch_broken: str | None = None


def hold(place: ShimPlace, reason: str) -> tuple[str, str | None]:
    """Return the commands for the programs that are there already; where there is none that pushes, write one that keeps all WAL.

    :returns: ``archive_command`` and, where a program that fetches was ever written, ``restore_command``.
    :raises OSError: the disk did not take it.
    """
    push, fetch = place.directory / scripts.PUSH, place.directory / scripts.FETCH
    if not push.exists():
        place.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _put(push, scripts.held_text(reason), _PROGRAM_MODE)
    return scripts.command_of(push, "%p", "%f"), scripts.command_of(fetch, "%f", "%p") if fetch.exists() else None


def withhold(directory: Path, reason: str) -> None:
    """Let the program that pushes keep all WAL, where there is one.

    :raises OSError: the disk did not take it.
    """
    push = directory / scripts.PUSH
    if push.exists():
        _put(push, scripts.held_text(reason), _PROGRAM_MODE)


def restore_command_for(settings: ArchiveSettings, place: ShimPlace) -> str:
    """Write the programs of any archive below ``place.directory`` and return the ``restore_command`` that fetches from it.

    Nothing is ever pushed by them: a copy of another cluster must not write into its archive.

    :raises PluginError: the settings cannot be put into a program.
    :raises OSError: the disk did not take them.
    """
    shim = ArchiveShim(place=place, settings=settings, held="these programs only fetch, for a restore")
    shim.write()
    return shim.restore_command


def read_notes(directory: Path) -> ShimNotes:
    """Return what the programs of a directory have noted; a note that is just being written counts as none."""
    failed, broken = _words(directory / scripts.FAILED), _words(directory / scripts.BROKEN)
    has_broken = len(broken) == 4 and broken[0].isdecimal()  # noqa: PLR2004 - count, instant, code, file
    return ShimNotes(
        push_failed=_fault(directory, scripts.PUSH, *failed) if len(failed) == 2 else None,  # noqa: PLR2004 - code, file
        fetches_broken=int(broken[0]) if has_broken else 0,
        last_fetch_broken=_fault(directory, scripts.FETCH, *broken[2:]) if has_broken else None,
    )


def end_hanging_fetch(directory: Path, *, longer_than_s: float) -> bool:
    """End a fetch that has run for too long, as if the file were missing; tell whether there was one."""
    words = _words(directory / scripts.RUNNING)
    if len(words) != 2 or not all(map(str.isdecimal, words)):  # noqa: PLR2004 - process, instant
        return False
    pid, began_at = map(int, words)
    if parent_of(pid) is None or time.clock_gettime(time.CLOCK_BOOTTIME) - began_at < longer_than_s:
        return False
    with contextlib.suppress(OSError):  # it has just ended
        if str(directory / scripts.FETCH).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            os.kill(pid, signal.SIGTERM)
            return True
    return False


def _fault(directory: Path, program: str, code: str, name: str) -> str:
    said = (read_if_there(directory / scripts.SAID[program]) or "").strip()[-_TOLD:]
    return f"{program} of {name} ended with {code}" + (f": {said}" if said else "")


def _words(path: Path) -> list[str]:
    return (read_if_there(path) or "").split()


def _put(path: Path, text: str, mode: int) -> bool:
    if read_if_there(path) == text:
        return False
    write_durably(path, text, mode=mode)
    return True
