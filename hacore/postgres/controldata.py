"""The control file of a data directory, read through ``pg_controldata`` in the C locale, and only when the file has changed.

Of a running server the file may change several times a second; its facts are then better had by a query (``query``).
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hacore.errors import DataDirectoryError
from hacore.model.lsn import Lsn
from hacore.model.node import ControlData
from hacore.postgres.programs import Programs

_ATTEMPTS: Final = 3
_PAUSE_S: Final = 0.01
_ZERO: Final = Lsn(0)
_SPLITS_MAJOR: Final = re.compile(r"\d+")
# A standby refuses to start, or stops replay, with less of these than its primary had.
LIMITS: Final[Mapping[str, str]] = {
    "max_connections": "max_connections setting",
    "max_worker_processes": "max_worker_processes setting",
    "max_wal_senders": "max_wal_senders setting",
    "max_prepared_transactions": "max_prepared_xacts setting",
    "max_locks_per_transaction": "max_locks_per_xact setting",
}

Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlFile:
    """What the control file says."""

    control: ControlData
    limits: Mapping[str, int]  # by parameter: what the primary whose WAL is replayed here runs with


class ControlReader:
    """Reads the control file of one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._known: tuple[Stamp, ControlFile] | None = None

    def stamp(self) -> Stamp | None:
        """Return what tells one content of the control file from the next; ``None`` where there is no file."""
        try:
            found = (self._data_dir / "global" / "pg_control").stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns

    def cached(self) -> ControlFile | None:
        """Return the last content read, however old, of the file that is there."""
        stamp = self.stamp()
        return self._known[1] if self._known and stamp and self._known[0][:2] == stamp[:2] else None

    def read(self, programs: Programs) -> ControlFile:
        """Read the control file if it has changed since the last time.

        :raises DataDirectoryError: there is none, or it makes no sense.
        """
        stamp = self.stamp()
        if stamp is None:
            raise DataDirectoryError(f"{self._data_dir}: no control file")
        if self._known is None or self._known[0] != stamp:
            major = _major_of(self._data_dir)
            self._known = stamp, parse_controldata(self._ask(programs), major)
        return self._known[1]

    def _ask(self, programs: Programs) -> str:
        """Ask again where it was read while the server wrote it; programs before PostgreSQL 17 do not do so themselves."""
        text = ""
        for attempt in range(_ATTEMPTS):
            time.sleep(_PAUSE_S * attempt)
            answer = programs.run("pg_controldata", str(self._data_dir))
            if answer.returncode == 0 and not answer.stdout.startswith("WARNING"):
                return answer.stdout
            text = (answer.stderr or answer.stdout).strip().partition("\n")[0]
        raise DataDirectoryError(f"{self._data_dir}: control file cannot be read: {text}")


def parse_controldata(text: str, major: int) -> ControlFile:
    """Read the output of ``pg_controldata``.

    :raises DataDirectoryError: a line that every version writes is missing.
    """
    pairs = dict(_pair(line) for line in text.splitlines() if ":" in line)
    try:
        control = ControlData(
            system_id=pairs["Database system identifier"],
            state=pairs["Database cluster state"],
            timeline=int(pairs["Latest checkpoint's TimeLineID"]),
            checkpoint_lsn=Lsn.parse(pairs["Latest checkpoint location"]),
            redo_lsn=Lsn.parse(pairs["Latest checkpoint's REDO location"]),
            min_recovery_lsn=_present(Lsn.parse(pairs["Minimum recovery ending location"])),
            min_recovery_timeline=int(pairs["Min recovery ending loc's timeline"]) or None,
            data_checksums=int(pairs["Data page checksum version"]) > 0,
            wal_log_hints=pairs["wal_log_hints setting"] == "on",
            wal_segment_bytes=int(pairs["Bytes per WAL segment"]),
            major_version=major,
        )
        limits = {name: int(pairs[label]) for name, label in LIMITS.items()}
    except (KeyError, ValueError) as error:
        raise DataDirectoryError(f"pg_controldata: answer not understood: {error}") from error
    return ControlFile(control=control, limits=limits)


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def _present(lsn: Lsn) -> Lsn | None:
    return None if lsn == _ZERO else lsn


def _major_of(data_dir: Path) -> int:
    try:
        text = (data_dir / "PG_VERSION").read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise DataDirectoryError(f"{data_dir}: no version file: {error}") from error
    match = _SPLITS_MAJOR.match(text)
    if match is None:
        raise DataDirectoryError(f"{data_dir}/PG_VERSION: {text.strip()[:20]!r}, want a major version")
    return int(match[0])
