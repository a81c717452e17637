"""``postmaster.pid``: what a running server says of itself to whoever can read its directory (PostgreSQL: ``miscadmin.h``)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hacore.postgres.files import read_if_there

_LINES: Final = 8
STARTING: Final = "starting"
STOPPING: Final = "stopping"
READY: Final = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class PidFile:
    """The lines of the file. A server that is just starting has not written all of them yet."""

    pid: int
    is_single_user: bool  # not a postmaster, but a backend that works alone
    port: int | None = None
    socket_dir: str | None = None
    listen_address: str | None = None
    status: str | None = None  # starting, stopping, ready or standby


def read_pid_file(path: Path) -> PidFile | None:
    """Read the file; ``None`` where there is none, or no number in it."""
    text = read_if_there(path)
    return None if text is None else parse_pid_file(text)


def parse_pid_file(text: str) -> PidFile | None:
    """Read the text of the file."""
    lines = [line.strip() for line in text.split("\n")][:_LINES]
    lines += [""] * (_LINES - len(lines))
    try:
        pid = int(lines[0])
    except ValueError:
        return None
    return PidFile(
        pid=abs(pid),
        is_single_user=pid < 0,
        port=int(lines[3]) if lines[3].isdecimal() else None,
        socket_dir=lines[4] or None,
        listen_address=lines[5] or None,
        status=lines[7] or None,
    )
