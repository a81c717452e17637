"""What a demonstration has on this machine, and what is left of it; others may run at the same time."""

import re
from pathlib import Path

import psutil

from hacore.guard.processes import every_pid


def directory_of(process: int) -> Path | None:
    """The directory of the demonstration that this process runs, as soon as one of its nodes has been started."""
    for child in psutil.Process(process).children(recursive=True):
        try:
            found = re.search(r"/tmp/hacore-demo-\w+", " ".join(child.cmdline()))
        except psutil.NoSuchProcess:
            continue
        if found:
            return Path(found.group())
    return None


def processes_of(directory: Path) -> list[str]:
    """Whatever names the directory in its arguments or works in it."""
    found = []
    for pid in every_pid():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            place = str(Path(f"/proc/{pid}/cwd").readlink())
        except OSError:
            continue
        if str(directory) in words or place.startswith(str(directory)):
            found.append(words)
    return found
