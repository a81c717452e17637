"""Which processes of this machine belong to one node, and how they are hurt. Found anew each time, by /proc alone."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from hacore.errors import HacoreError
from hacore.guard.jobs import JOB_VARIABLE
from hacore.guard.processes import every_pid, inode_of, parent_of, program_of, variable_of
from hacore.testing.waiting import wait_for

Part = Literal["agent", "main", "rest", "guard", "postmaster", "hacore", "everything"]
GONE_WITHIN_S: Final = 20.0
_SERVERS: Final = frozenset({"postgres", "postmaster"})


class ClusterError(HacoreError):
    """The cluster did not do what was asked of it, or what it must have done in time."""


@dataclass(kw_only=True)
class NodeProcesses:
    """A node as it stands on the disk and among the processes: it may run or not."""

    name: str
    directory: Path
    settings: dict[str, Any]  # what stands in its configuration file; changes take effect with write()
    pg_port: int
    rest_port: int
    password: str
    host: str = "127.0.0.1"  # where its doors are
    launcher: tuple[
        str, ...
    ] = ()  # words before the command of the main process: a program that changes user, namespace, rights, and execs
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    process: subprocess.Popen[bytes] | None = None  # main

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.directory / f"{self.name}.yml"

    @property
    def log(self) -> Path:
        """What its processes wrote, all starts in one file."""
        return self.directory / f"{self.name}.log"

    @property
    def data_dir(self) -> Path:
        """The data directory."""
        return Path(self.settings["postgresql"]["data_dir"])

    @property
    def state_dir(self) -> Path:
        """Where guard and agent keep their own files."""
        return self.data_dir.with_name(f"{self.data_dir.name}.hacore")

    @property
    def dsn(self) -> str:
        """A connection string of the superuser."""
        return f"host={self.host} port={self.pg_port} user=postgres password={self.password} dbname=postgres connect_timeout=5"

    def pids(self, part: Part) -> list[int]:
        """The living processes of a part of the node; none when it does not run.

        ``rest`` and ``agent`` are one process each, ``hacore`` is all of ours, ``everything`` all of ours, every server process and
        every long work (a base backup, a rewind).
        """
        if part == "postmaster":
            return [pid for pid in self.server_pids() if _title(pid).partition(" ")[0] != "postgres:" and _is_top(pid)]
        wanted = tuple(_MARKS) if part in {"hacore", "everything"} else (part,)
        found = [pid for pid, words in _every_command() if any(_MARKS[mark](self, words) for mark in wanted) and _is_alive(pid)]
        if part == "everything":
            jobs = [pid for pid in every_pid() if variable_of(pid, JOB_VARIABLE) == str(self.state_dir) and _is_alive(pid)]
            found += [pid for pid in [*self.server_pids(), *jobs] if pid not in found]
        return found

    def pid(self, part: Part) -> int:
        """The one process of a part, waited for: something may just be starting it.

        :raises TimeoutError: there is none.
        """
        return wait_for(lambda: self.pids(part), f"{self.name}: a process {part}")[0]

    def wait_for_another(self, part: Part, *, than: int) -> int:
        """The process that stands in the place of one that was killed, waited for."""
        return wait_for(lambda: [pid for pid in self.pids(part) if pid != than], f"{self.name}: another process {part}")[0]

    def server_pids(self) -> list[int]:
        """Every living process that works in the data directory and is a PostgreSQL server's."""
        inode = inode_of(str(self.data_dir))
        return [
            pid for pid in every_pid() if inode and inode_of(f"/proc/{pid}/cwd") == inode and program_of(pid) in _SERVERS and _is_alive(pid)
        ]

    def server_titles(self) -> dict[int, str]:
        """What each server process says of itself: ``postgres: demo: walsender ...``."""
        return {pid: _title(pid) for pid in self.server_pids()}

    def send(self, part: Part, number: signal.Signals) -> list[int]:
        """Send a signal to a part of the node, to all its processes within a moment. Answers who got it."""
        pids = self.pids(part)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if not pids:
            raise ClusterError(f"{self.name}: no process {part} to send {number.name} to")
        return pids

    def kill(self, part: Part, number: signal.Signals = signal.SIGKILL) -> list[int]:
        """Kill a part of the node; ``everything`` is the loss of its machine, and returns when nothing is left."""
        if part == "everything":
            return self.destroy()
        return self.send(part, number)

    def stop(self, part: Part) -> list[int]:
        """SIGSTOP a part of the node."""
        return self.send(part, signal.SIGSTOP)

    def cont(self, part: Part) -> list[int]:
        """SIGCONT a part of the node."""
        return self.send(part, signal.SIGCONT)

    def destroy(self) -> list[int]:
        """Kill every process of the node until none is left. Answers who was killed; it is no fault if nobody was."""
        killed: list[int] = []

        def sweep() -> bool:
            pids = self.pids("everything")
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            killed.extend(pid for pid in pids if pid not in killed)
            return not pids

        wait_for(sweep, f"{self.name}: nothing of it is left", deadline_s=GONE_WITHIN_S)
        if self.process is not None:
            self.process.wait(GONE_WITHIN_S)
        self._remove_shared_memory()
        return killed

    def _remove_shared_memory(self) -> None:
        """Remove the segment of a killed server, as the loss of its machine does; the kernel has a place for 4096 of them.

        Its number stands in line 7 of ``postmaster.pid``, which a server that ends in order removes (PostgreSQL documentation, 73.1).
        """
        with contextlib.suppress(OSError, IndexError):
            _, number = (self.data_dir / "postmaster.pid").read_text().splitlines()[6].split()
            subprocess.run(["ipcrm", "--shmem-id", number], check=False, capture_output=True, timeout=GONE_WITHIN_S)


_MARKS: Final[Mapping[str, Callable[[NodeProcesses, list[str]], bool]]] = MappingProxyType(
    {
        "main": lambda node, words: _runs_module(words, "hacore.daemon", node),
        "agent": lambda node, words: _runs_module(words, "hacore.daemon.agent", node),
        "rest": lambda node, words: _runs_module(words, "hacore.api", node),
        "guard": lambda node, words: len(words) > 1 and words[-2:] == [str(node.state_dir), str(node.data_dir)],
        "prepare": lambda node, words: _runs_module(words, "hacore.daemon.prepare", node),
    }
)


def _runs_module(words: list[str], module: str, node: NodeProcesses) -> bool:
    return words[-1:] == [str(node.config)] and words[-3:-1] == ["-m", module]


def _arguments(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []


def _every_command() -> list[tuple[int, list[str]]]:
    return [(pid, _arguments(pid)) for pid in every_pid()]


def _title(pid: int) -> str:
    return " ".join(_arguments(pid))


def _is_alive(pid: int) -> bool:
    return parent_of(pid) is not None


def _is_top(pid: int) -> bool:
    """Whether the parent is no server process: children are forked before they change their title."""
    parent = parent_of(pid)
    return parent is not None and program_of(parent) not in _SERVERS
