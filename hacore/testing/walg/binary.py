"""Which ``wal-g`` tests use: the one that ``WALG_BINARY`` names, else the one on ``PATH``, else the stand-in; and what it is called."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import hacore
from hacore.errors import HacoreError

BINARY_VARIABLE: Final = "WALG_BINARY"
_LAUNCHER: Final = """\
#!{interpreter} -I
import sys
sys.path.insert(0, {checkout!r})
from hacore.testing.walg.program import main
sys.exit(main())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walg:
    """A program that is ``wal-g`` to whoever runs it."""

    path: Path
    is_stand_in: bool

    def __str__(self) -> str:
        return f"the stand-in of hacore.testing ({self.path})" if self.is_stand_in else str(self.path)


def real_walg() -> Path | None:
    """Return the real program of this machine; ``None``: it has none.

    :raises HacoreError: ``WALG_BINARY`` names what is no program.
    """
    named = os.environ.get(BINARY_VARIABLE)
    if named:
        if not os.access(named, os.X_OK):
            raise HacoreError(f"{BINARY_VARIABLE}: {named} is no program, want the path of wal-g")
        return Path(named)
    found = shutil.which("wal-g")
    return Path(found) if found else None


def find_walg(directory: Path) -> Walg:
    """Return the program that tests use; the stand-in is written into this directory, where every user may run it."""
    real = real_walg()
    return Walg(path=real, is_stand_in=False) if real else Walg(path=write_stand_in(directory), is_stand_in=True)


def write_stand_in(directory: Path) -> Path:
    """Write the program ``wal-g`` that runs the stand-in by our own interpreter, and return its path."""
    path, checkout = directory / "wal-g", str(Path(hacore.__file__).parents[1])
    draft = directory / f"wal-g.{os.getpid()}"
    draft.write_text(_LAUNCHER.format(interpreter=sys.executable, checkout=checkout))
    draft.chmod(0o755)
    draft.replace(path)  # two tests may write it at once
    return path


def said_of_walg() -> str:
    """Return which program is used, for the summary of a run."""
    real = real_walg()
    return str(real) if real else f"the stand-in of hacore.testing: no wal-g on PATH, and {BINARY_VARIABLE} names none"
