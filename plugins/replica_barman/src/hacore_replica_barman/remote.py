"""How something is run where Barman is: by ssh, or here. It does not know what the answers mean."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from hacore.errors import ConfigError, PluginUnavailableError
from hacore.interfaces import Finished, Job
from hacore_replica_barman import scripts
from hacore_replica_barman.settings import BarmanSettings

_SHELL: Final = "/bin/sh"
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_HELD: Final = str(Path(__file__).with_name("held.py"))
_SHOWN_LINES: Final = 3
_SSH_FAILED: Final = 255


class Remote:
    """The host of Barman, as the settings say how it is reached."""

    def __init__(self, settings: BarmanSettings) -> None:
        self._settings = settings

    @property
    def search_path(self) -> str:
        """The PATH in which ``ssh`` is found."""
        return _PATH if self._settings.ssh_dir is None else f"{self._settings.ssh_dir}:{_PATH}"

    def words(self, script: str) -> tuple[str, ...]:
        """Return the command line that runs a script there.

        :raises ConfigError: there is no ssh.
        """
        if self._settings.host is None:
            return (_SHELL, "-c", script)
        ssh = shutil.which("ssh", path=self.search_path)
        if ssh is None:
            raise ConfigError(f"barman: no program ssh in {self.search_path}, want its directory in ssh_dir")
        port = () if self._settings.port is None else ("-p", str(self._settings.port))
        # BatchMode: nobody is there to answer a question about a host key.
        options = ("-T", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=15", *port)
        return (ssh, *options, f"{self._settings.user}@{self._settings.host}", script)

    def ask(self, base: Mapping[str, str], script: str, *, limit_s: float) -> tuple[int, str, str]:
        """Run a script that ends soon, and return its exit code, what it printed, and its last words.

        :raises PluginUnavailableError: it did not end in time, died, could not be started, or the host is not reached.
        """
        try:
            process = subprocess.Popen(
                self.words(script), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=self._environment(base), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise PluginUnavailableError(f"barman: ssh cannot be started: {error}") from error
        try:
            printed, said = process.communicate(timeout=max(limit_s, 0))
        except subprocess.TimeoutExpired as error:
            raise PluginUnavailableError(f"barman: no answer within {limit_s:.0f} s") from error
        finally:
            _end(process)
        words = last_words(said.decode(errors="replace"))
        if process.returncode < 0:
            raise PluginUnavailableError(f"barman: ssh died by signal {-process.returncode}")
        if process.returncode == _SSH_FAILED:
            raise PluginUnavailableError(f"barman: {self._settings.host} is not reached: {words}")
        return process.returncode, printed.decode(errors="replace"), words

    def run(self, job: Job, base: Mapping[str, str], command: str, on_line: Callable[[str], None]) -> Finished:
        """Run a command that lasts, as part of a job: when that ends it, it ends on both hosts.

        :raises PluginUnavailableError: it could not be started.
        """
        argv = [sys.executable, "-I", _HELD, *self.words(scripts.held(command))]
        try:
            return job.run(argv, environment=self._environment(base), on_line=on_line)
        except OSError as error:
            raise PluginUnavailableError(f"barman: ssh cannot be started: {error}") from error

    def _environment(self, base: Mapping[str, str]) -> dict[str, str]:
        return {**base, "PATH": self.search_path}


def last_words(output: str) -> str:
    """Return what it said last."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return " | ".join(lines[-_SHOWN_LINES:]) or "it said nothing"


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
