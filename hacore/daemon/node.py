"""What the main process supervises once the configuration was found good: guard, agent and REST server of one data directory.

Does not wait, and does not know signals or the service manager.
"""

import fcntl
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hacore.daemon import exit_codes
from hacore.daemon.child import Child
from hacore.daemon.guard_link import GuardLink
from hacore.daemon.heartbeat import HEARTBEAT_VARIABLE, StillWatch, create_heartbeat
from hacore.daemon.memory import was_paused
from hacore.daemon.messages import say
from hacore.daemon.preparation import Prepared
from hacore.guard.jobs import NODE_VARIABLE, end_leftovers
from hacore.guard.paths import ensure_state_dir
from hacore.guard.word import create_memory

SNAPSHOT_VARIABLE: Final = "HACORE_SNAPSHOT_FD"
_SNAPSHOT_BYTES: Final = 1 << 20  # pages that nobody touches cost nothing
LOCK_NAME: Final = "main.lock"
_GUARD_SILENT_S: Final = 30.0
_REST_STOP_S: Final = 10.0
_SERVER_STOP_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """The command lines of the children."""

    prepare: Sequence[str]
    agent: Sequence[str]
    rest: Sequence[str]


def create_snapshot() -> int:
    """Make the memory that the agent shares with the REST server."""
    return create_memory("hacore-snapshot", _SNAPSHOT_BYTES)


class Node:
    """Guard, agent and REST server of one data directory, under a lock that keeps a second main process out."""

    def __init__(self, prepared: Prepared, commands: Commands, environment: Mapping[str, str]) -> None:
        ensure_state_dir(prepared.state_dir)
        self.prepared = prepared
        self._lock_fd = _lock(os.path.join(prepared.state_dir, LOCK_NAME))  # noqa: PTH118 - no pathlib in the main process
        self.guard = GuardLink(prepared.state_dir, prepared.data_dir, environment)
        heartbeat_fd, self.heartbeat = create_heartbeat()
        snapshot_fd = create_snapshot()
        handed_down = {
            **environment,
            NODE_VARIABLE: prepared.state_dir,
            HEARTBEAT_VARIABLE: str(heartbeat_fd),
            SNAPSHOT_VARIABLE: str(snapshot_fd),
        }
        keep = (heartbeat_fd, snapshot_fd)
        self.agent = Child("agent", commands.agent, handed_down, keep, with_capabilities=True)  # for its plugins
        self.rest = Child("REST server", commands.rest, handed_down, keep)
        self.agent_code: int | None = None  # with which the agent ended for good; negative is a signal
        self._watch = StillWatch()
        self._is_stopping = False
        self._stopping_since_s = 0.0

    @property
    def has_agent_moved(self) -> bool:
        """Whether the agent's loop has turned at all."""
        return self.agent.is_running and self.heartbeat.beats > 0

    @property
    def is_over(self) -> bool:
        """Whether the end was wanted and both children have ended."""
        return self._is_stopping and not self.agent.is_running and not self.rest.is_running

    @property
    def is_settled(self) -> bool:
        """Whether both children run and are to run on."""
        return self.agent.is_running and self.rest.is_running and not self._is_stopping

    def turn(self, now_s: float) -> None:
        """Start what is to be started, end what hangs."""
        has_guard = self.guard.ensure(now_s)
        self.guard.check(now_s)
        if has_guard and self.guard.silent_s > _GUARD_SILENT_S:
            say("error", f"the guard has not answered for {_GUARD_SILENT_S:g} s: it is killed, and by that its server")
            self.guard.kill()
        if not self._is_stopping:
            for child in (self.agent, self.rest):
                if (has_guard or child is not self.agent) and child.is_due(now_s):
                    self._start(child)
        elif now_s - self._stopping_since_s > _REST_STOP_S:
            self.rest.send(signal.SIGKILL)
        if self.agent.is_running and self._watch.look(self.heartbeat.beats, now_s, self.heartbeat.tick_s) > self.heartbeat.limit_s:
            say("error", f"the agent has not moved for {self.heartbeat.limit_s:g} s: it is killed")
            self.agent.send(signal.SIGKILL)
            self._watch.reset()

    def _start(self, child: Child) -> None:
        if child is self.agent:
            self.heartbeat.clear()
            self._watch.reset()
            left = end_leftovers(self.prepared.state_dir)
            if left:
                say("warning", f"work of the agent before is ended: {left}")
        try:
            child.start()
        except OSError as error:
            say("error", f"the {child.name} cannot be started: {error}")

    def reaped(self, pid: int, code: int, now_s: float) -> None:
        """Take note of a process that ended."""
        for child in (self.agent, self.rest):
            if pid == child.pid:
                child.ended()
                if not self._is_stopping and (child is self.rest or code not in exit_codes.ENDING):
                    say("warning", f"the {child.name} ended with {code}: it is started again")
                elif child is self.agent:
                    self.agent_code = code
                    self.stop(now_s)

    def forward(self, signum: int) -> None:
        """Pass a signal on to both children."""
        self.agent.send(signum)
        self.rest.send(signum)

    def stop(self, now_s: float) -> None:
        """Begin the orderly end; a second time changes nothing."""
        if not self._is_stopping:
            self._is_stopping, self._stopping_since_s = True, now_s
            self.forward(signal.SIGTERM)

    def conclude(self, *, is_container: bool) -> int:
        """After both children ended: end the guard and, where it is not to run on, its server. Answers our own exit code.

        An agent that was ended while it started, or between two starts, has not said what is to become of the server: its memory does.
        """
        code = self.agent_code
        has_said = code in exit_codes.ENDING
        stays = code != exit_codes.OK if has_said else was_paused(self.prepared.state_dir)
        if not self.guard.quit() and (is_container or not stays):
            say("info", "PostgreSQL is stopped")
            self.guard.stop_server(_SERVER_STOP_S)
            self.guard.quit()
        os.close(self._lock_fd)
        return code if code in {exit_codes.FATAL, exit_codes.CONFIGURATION} else exit_codes.OK


def _lock(path: str) -> int:
    """The descriptor that holds the lock until we end.

    :raises BlockingIOError: another main process has it.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise
    return fd
