"""One node of a cluster that runs on this machine for a test or the demonstration: its files, its processes, its doors.

Looks from outside only: /proc, REST, SQL. What of the node may be killed or stopped is found anew each time.
"""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

import yaml

from hacore.errors import HacoreError
from hacore.guard.jobs import JOB_VARIABLE
from hacore.guard.processes import every_pid, inode_of, parent_of, program_of, variable_of
from hacore.testing.history import Session
from hacore.testing.waiting import wait_for
from hacore.testing.workdir import owner_of

Part = Literal["agent", "main", "rest", "guard", "postmaster", "hacore", "everything"]
GONE_WITHIN_S: Final = 20.0
STOPPED_WITHIN_S: Final = 60.0
_ASK_S: Final = 10.0
_SERVERS: Final = frozenset({"postgres", "postmaster"})


class ClusterError(HacoreError):
    """The cluster did not do what was asked of it, or what it must have done in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the REST API of a node answered."""

    status: int
    text: str

    @property
    def document(self) -> dict[str, Any]:
        """The text, read as a JSON object."""
        found = json.loads(self.text)
        if not isinstance(found, dict):
            raise ClusterError(f"want a JSON object, got {self.text[:200]}")
        return found


@dataclass(kw_only=True)
class ClusterNode:
    """A node: it may run or not."""

    name: str
    directory: Path
    settings: dict[str, Any]  # what stands in its configuration file; changes take effect with write()
    pg_port: int
    rest_port: int
    password: str
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
        return f"host=127.0.0.1 port={self.pg_port} user=postgres password={self.password} dbname=postgres connect_timeout=5"

    # ---------------------------------------------------------------------------------------------- life
    def write(self) -> None:
        """Write the configuration file."""
        self.config.write_text(yaml.safe_dump(self.settings, sort_keys=False))
        owner = owner_of(self.directory)
        if owner is not None:
            os.chown(self.config, *owner)

    def start(self) -> None:
        """Start the main process, which starts the rest; nothing need be there yet."""
        if self.process is not None and self.process.poll() is None:
            raise ClusterError(f"{self.name}: the main process {self.process.pid} runs already")
        user, group = owner_of(self.directory) or (None, None)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "hacore.daemon", str(self.config)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd="/",
                env={**_passed_on(), **self.environment},
                start_new_session=True,
                user=user,
                group=group,
                extra_groups=None if user is None else [],
            )

    def end(self, *, within_s: float = STOPPED_WITHIN_S) -> int:
        """End the node in order, as the service manager would, and wait for it. Answers the exit code.

        :raises ClusterError: it has not ended in time.
        """
        if self.process is None:
            raise ClusterError(f"{self.name}: was not started")
        self.process.send_signal(signal.SIGTERM)
        return self.wait_end(within_s=within_s)

    def wait_end(self, *, within_s: float = STOPPED_WITHIN_S) -> int:
        """Wait until the main process has ended, and answer its exit code."""
        if self.process is None:
            raise ClusterError(f"{self.name}: was not started")
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired as late:
            raise ClusterError(f"{self.name}: has not ended within {within_s:g} s, see {self.log}") from late

    def restart(self) -> None:
        """End the node in order and start it again."""
        self.end()
        self.start()

    def reload(self) -> None:
        """Let it read its configuration file again."""
        self.send("main", signal.SIGHUP)

    # ---------------------------------------------------------------------------------------- processes
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
        return killed

    # -------------------------------------------------------------------------------------------- doors
    def rest(self, path: str, *, method: str = "GET", body: object = None, timeout_s: float = _ASK_S) -> Reply:
        """Ask the REST API once.

        :raises OSError: nobody answered.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.rest_port, timeout=timeout_s)
        text = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return Reply(status=answer.status, text=answer.read().decode())
        except http.client.HTTPException as error:
            raise OSError(f"{self.name}: {method} {path}: {type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def is_ok(self, path: str) -> bool:
        """Whether a health check answers 200; ``False`` also when nobody answers."""
        try:
            return self.rest(path).status == http.HTTPStatus.OK
        except OSError:
            return False

    def status(self) -> dict[str, Any]:
        """The document of ``/patroni``; empty when nobody answers."""
        with contextlib.suppress(OSError, ValueError):
            return self.rest("/patroni").document
        return {}

    @property
    def rule(self) -> str:
        """The rule that decided the last turn; empty when nobody answers."""
        return str(self.status().get("hacore", {}).get("rule", "")).rpartition(".")[2]

    def query(self, sql: str, values: tuple[object, ...] = (), *, deadline_s: float = _ASK_S) -> list[tuple[Any, ...]]:
        """Run one statement in a session of its own."""
        session = Session(self.dsn, deadline_s=deadline_s)
        try:
            return session.query(sql, values, deadline_s=deadline_s)
        finally:
            session.close()

    def says(self, text: str) -> bool:
        """Whether the log has this text anywhere."""
        return self.log.exists() and text in self.log.read_text(errors="replace")


_MARKS: Final[Mapping[str, Callable[[ClusterNode, list[str]], bool]]] = MappingProxyType(
    {
        "main": lambda node, words: _runs_module(words, "hacore.daemon", node),
        "agent": lambda node, words: _runs_module(words, "hacore.daemon.agent", node),
        "rest": lambda node, words: _runs_module(words, "hacore.api", node),
        "guard": lambda node, words: len(words) > 1 and words[-2:] == [str(node.state_dir), str(node.data_dir)],
        "prepare": lambda node, words: _runs_module(words, "hacore.daemon.prepare", node),
    }
)


def _runs_module(words: list[str], module: str, node: ClusterNode) -> bool:
    return words[-1:] == [str(node.config)] and words[-3:-1] == ["-m", module]


def _passed_on() -> dict[str, str]:
    """Our environment without what would be taken for settings or for a service manager's."""
    strange = ("HACORE_", "PATRONI_", "PG", "NOTIFY_", "WATCHDOG_")
    return {name: value for name, value in os.environ.items() if not name.startswith(strange)}


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
