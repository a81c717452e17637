"""Finding the processes of one PostgreSQL server in /proc: by descent, and by the directory they work in.

By descent needs no look at the file system of the data directory, so it works while that hangs. By working directory also finds
orphans, servers that somebody else started, and ones whose binary or data directory was replaced. Does not end anything.
"""

import os
from collections.abc import Iterator
from typing import Final

_SERVER_NAMES: Final = frozenset({"postgres", "postmaster", "edb-postgres"})
_DELETED: Final = " (deleted)"

Inode = tuple[int, int]


def every_pid() -> Iterator[int]:
    """Every process that /proc shows us."""
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdecimal():
                yield int(entry.name)


def parent_of(pid: int) -> int | None:
    """The parent of a living process; ``None`` when it is gone or waits to be reaped."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None
    try:
        fields = os.read(fd, 1024).rpartition(b")")[2].split()
    except OSError:
        return None
    finally:
        os.close(fd)
    return None if fields[0] in {b"Z", b"X"} else int(fields[1])


def children_of(parents: frozenset[int]) -> list[int]:
    """The living children of these processes."""
    return [pid for pid in every_pid() if parent_of(pid) in parents]


def inode_of(path: str) -> Inode | None:
    """What stands at a path, names aside; ``None`` when nothing does or we may not know."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def program_of(pid: int) -> str | None:
    """The file name of the program that a process runs, also when the file was replaced."""
    try:
        path = os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return None
    return os.path.basename(path.removesuffix(_DELETED))


def variable_of(pid: int, name: str) -> str | None:
    """An environment variable that a process was started with."""
    try:
        fd = os.open(f"/proc/{pid}/environ", os.O_RDONLY)
    except OSError:
        return None
    try:
        with os.fdopen(fd, "rb") as file:
            entries = file.read().split(b"\0")
    except OSError:
        return None
    prefix = name.encode() + b"="
    return next((entry[len(prefix) :].decode(errors="replace") for entry in entries if entry.startswith(prefix)), None)


class Territory:
    """The data directory of one server, under every identity that it has while the server lives, and the names of its programs."""

    def __init__(self, data_dir: str) -> None:
        self._data_dir = data_dir
        self._held: dict[Inode, int] = {}
        self._names = set(_SERVER_NAMES)

    def look(self) -> Inode | None:
        """Remember what stands at the path now, so that its server is found after the directory was renamed or deleted.

        The open descriptor keeps the file system from giving the same number to another directory, maybe that of another server.
        """
        try:
            fd = os.open(self._data_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return None
        found = os.fstat(fd)
        inode = found.st_dev, found.st_ino
        if inode in self._held:
            os.close(fd)
        else:
            self._held[inode] = fd
        return inode

    def release(self) -> None:
        """Forget what was remembered: no server lives here any more."""
        for fd in self._held.values():
            os.close(fd)
        self._held.clear()

    def remember_program(self, pid: int) -> None:
        """Take what this process runs for a server's program, whatever its name."""
        name = program_of(pid)
        if name is not None:
            self._names.add(name)

    def inhabitants(self) -> list[int]:
        """Every living server process of this directory, ourselves excepted."""
        own, inodes = os.getpid(), self._inodes()
        return [pid for pid in every_pid() if pid != own and self._is_inhabitant(pid, inodes)]

    def holds(self, pid: int) -> bool:
        """Whether this process is one of them."""
        return self._is_inhabitant(pid, self._inodes())

    def _inodes(self) -> frozenset[Inode]:
        now = inode_of(self._data_dir)
        return frozenset(self._held if now is None else (now, *self._held))

    def _is_inhabitant(self, pid: int, inodes: frozenset[Inode]) -> bool:
        """Whether a living process works there and is a server's. A person's shell is not."""
        return inode_of(f"/proc/{pid}/cwd") in inodes and program_of(pid) in self._names and parent_of(pid) is not None
