"""The postmaster that the guard keeps: started as its child, or adopted from somebody else; and the reaping of everything that died.

Does not know deadlines. A signal goes to a process descriptor, so it never reaches another process that got the same number.
"""

import contextlib
import os
import select
import signal
from collections.abc import Mapping, Sequence
from typing import Final

from hacore.guard.kernel import NS_PER_S, set_oom_score
from hacore.guard.processes import Territory, inode_of, variable_of
from hacore.guard.spawn import Program, spawn

MARK: Final = "HACORE_GUARD_PID"  # in the environment of every postmaster that a guard started
_LOG_MODE: Final = 0o600
# Where the service manager protects us from the lack of memory, the postmaster inherits that; its backends must not.
_BACKENDS_LESS_PROTECTED: Final = {"PG_OOM_ADJUST_FILE": "/proc/self/oom_score_adj", "PG_OOM_ADJUST_VALUE": "0"}


class Server:
    """One postmaster at a time, and its territory."""

    def __init__(self, data_dir: str, child_oom_score: int | None) -> None:
        self._data_dir = data_dir
        self._child_oom_score = child_oom_score
        self.territory = Territory(data_dir)
        self.pid: int | None = None
        self.pidfd: int | None = None
        self.exit_code: int | None = None
        self.is_foreign = False

    @property
    def is_alive(self) -> bool:
        """Whether the postmaster, as far as was reaped, still runs."""
        return self.pidfd is not None

    def start(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, log_path: str | None) -> int:
        """Start a postmaster that the kernel stops at once when we end.

        :raises OSError: it could not be started.
        """
        if self.territory.look() is None:
            raise FileNotFoundError(2, f"{self._data_dir}: no such directory")
        defaults = _BACKENDS_LESS_PROTECTED if (self._child_oom_score or 0) < 0 else {}
        program = Program(argv, {**defaults, **env, MARK: str(os.getpid())}, death_signal=signal.SIGQUIT)
        program.cwd = cwd
        program.new_session = True
        program.before_exec = self._restore_oom_score
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
        log_fd = os.open(log_path or os.devnull, flags, _LOG_MODE)
        try:
            program.output_fd = log_fd
            pid = spawn(program)
        finally:
            os.close(log_fd)
        self._keep(pid, os.pidfd_open(pid), is_foreign=False)
        return pid

    def _restore_oom_score(self) -> None:
        if self._child_oom_score is not None:
            set_oom_score(self._child_oom_score)

    def adopt(self, pid: int) -> str | None:
        """Take a running postmaster that is not our child into our care. Answers why not, or ``None``."""
        try:
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            return f"process {pid}: {error.strerror}"
        inode = self.territory.look()
        if inode is None or inode_of(f"/proc/{pid}/cwd") != inode:
            os.close(pidfd)
            return f"process {pid} does not work in {self._data_dir}"
        self._keep(pid, pidfd, is_foreign=True)
        self.territory.remember_program(pid)
        return None

    def _keep(self, pid: int, pidfd: int, *, is_foreign: bool) -> None:
        self.pid, self.pidfd, self.exit_code, self.is_foreign = pid, pidfd, None, is_foreign

    def signal(self, signum: int) -> bool:
        """Send a signal to the postmaster; answers whether there was one."""
        if self.pidfd is None:
            return False
        try:
            signal.pidfd_send_signal(self.pidfd, signum)
        except ProcessLookupError:
            return False
        return True

    def wait(self, wait_ns: int) -> bool:
        """Wait until the postmaster is gone; answers whether it is."""
        if self.pidfd is None:
            return True
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        poll.poll(max(wait_ns, 0) * 1000 / NS_PER_S)
        self.reap()
        return not self.is_alive

    def reap(self) -> bool:
        """Collect everything of ours that died. Answers whether the postmaster was found dead just now."""
        was_alive = self.is_alive
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                if pid == self.pid and not self.is_foreign:
                    self._lose(os.waitstatus_to_exitcode(status))
        if self.is_foreign and self.pidfd is not None and select.select([self.pidfd], [], [], 0)[0]:
            self._lose(None)  # its parent alone learns how it ended
        return was_alive and not self.is_alive

    def _lose(self, exit_code: int | None) -> None:
        if self.pidfd is not None:
            os.close(self.pidfd)
        self.pid, self.pidfd, self.exit_code = None, None, exit_code

    def left_by_a_dead_guard(self) -> list[int]:
        """Server processes that another guard of this directory had started.

        We hold the lock of the directory, so that guard is dead, and the kernel has told them to end. One that was stopped has not heard.
        """
        return [pid for pid in self.territory.inhabitants() if variable_of(pid, MARK) is not None]
