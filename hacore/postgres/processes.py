"""The processes of one server: which live, and signals to the postmaster. The end of the postmaster is not the end of writes."""

import os
import signal
import time
from collections.abc import Callable
from typing import Final

from hacore.errors import PostgresUnreachableError
from hacore.guard.jobs import JOB_VARIABLE
from hacore.guard.processes import Inode, every_pid, inode_of, parent_of, program_of, variable_of
from hacore.postgres.layout import Layout
from hacore.postgres.pidfile import PidFile, read_pid_file

_LOOK_S: Final = 0.05
_LOOK_SOON_S: Final = 0.005
_SOON_S: Final = 2.0  # a stop that goes well has ended by then
_PROGRAMS: Final = frozenset({"postgres", "postmaster", "edb-postgres"})


class Processes:
    """Finds the processes of a data directory by the inode they work in, so that orphans are found too."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._inodes: set[Inode] = set()  # of the directory under every identity that it has had while a server lived in it
        self._programs = set(_PROGRAMS)
        self._known: int | None = None  # the last postmaster seen, also when its file is deleted under it

    def pid_file(self) -> PidFile | None:
        """Return what stands in ``postmaster.pid``, be it true or stale."""
        return read_pid_file(self._layout.pid_file)

    def postmaster(self) -> int | None:
        """Return the process id of the living postmaster."""
        self._look()
        file = self.pid_file()
        if file is not None and not file.is_single_user and self._holds(file.pid):
            self._known = file.pid
        elif self._known is not None and not self._holds(self._known):
            self._known = None
        return self._known

    def started(self, pid: int) -> None:
        """Take note of a postmaster that was just started, before it has written its file."""
        self._look()
        name = program_of(pid)
        if name is not None:
            self._programs.add(name)
        self._known = pid

    def alive(self) -> list[int]:
        """Return every living process of the data directory."""
        self._look()
        own = os.getpid()
        found = [pid for pid in every_pid() if pid != own and self._holds(pid)]
        if not found:
            self._inodes.clear()
        return found

    def orphans(self) -> list[int]:
        """Return the living processes that are no work of our own: initdb and crash recovery run servers that nobody can reach."""
        return [pid for pid in self.alive() if variable_of(pid, JOB_VARIABLE) is None or not _descends_from(pid, os.getpid())]

    def signal(self, signum: signal.Signals) -> None:
        """Signal the postmaster directly.

        :raises PostgresUnreachableError: there is none.
        """
        pid = self.postmaster()
        if pid is None:
            raise PostgresUnreachableError(f"{self._layout.data_dir}: no postmaster lives")
        try:
            os.kill(pid, signum)
        except ProcessLookupError as error:
            raise PostgresUnreachableError(f"{self._layout.data_dir}: the postmaster has just ended") from error

    def wait_gone(self, until: float, look: Callable[[], None]) -> bool:
        """Wait until no process of the directory lives; ``look`` is called between and may raise. Tell whether all are gone.

        :param until: instant of ``time.monotonic``.
        """
        began = time.monotonic()
        while True:
            pid = self.postmaster()
            if (pid is None or parent_of(pid) is None) and not self.alive():
                return True
            now = time.monotonic()
            if now >= until:
                return False
            look()
            time.sleep(_LOOK_SOON_S if now - began < _SOON_S else _LOOK_S)

    def drop_stale_pid_file(self) -> bool:
        """Remove ``postmaster.pid`` of a server that is gone, as its number may be another program's by now.

        :raises PostgresUnreachableError: processes of the directory live.
        """
        left = self.alive()
        if left:
            raise PostgresUnreachableError(f"{self._layout.data_dir}: processes {left} of it live")
        try:
            self._layout.pid_file.unlink()
        except FileNotFoundError:
            return False
        return True

    def _look(self) -> None:
        inode = inode_of(str(self._layout.data_dir))
        if inode is not None:
            self._inodes.add(inode)

    def _holds(self, pid: int) -> bool:
        """Whether a living process works in the directory and is a server's; a person's shell is not."""
        return inode_of(f"/proc/{pid}/cwd") in self._inodes and program_of(pid) in self._programs and parent_of(pid) is not None


def _descends_from(pid: int, ancestor: int) -> bool:
    found: int | None = pid
    while found is not None and found > 1:
        found = parent_of(found)
        if found == ancestor:
            return True
    return False
