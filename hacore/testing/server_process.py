"""Processes of servers for tests: started as the unprivileged user of all servers, waited for, frozen, killed, ended in order.

It knows no product: a subclass says what is run, and whoever waits says when it is ready.
"""

import os
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import psutil

from hacore.errors import HacoreError
from hacore.testing.faults import freezer
from hacore.testing.workdir import server_user

_STOP_S: Final = 5.0
_PAUSE_S: Final = 0.02


class ServerError(HacoreError):
    """A server did not do what the test asked of it."""


@dataclass(slots=True, kw_only=True)
class ServerProcess(ABC):
    """One process and its directory."""

    name: str
    directory: Path
    process: psutil.Popen | None = field(default=None, init=False)  # while it runs, frozen or not

    @abstractmethod
    def command(self) -> list[str]:
        """Return program and arguments; called before each start."""

    def variables(self) -> Mapping[str, str]:
        """Return variables of its environment besides our own."""
        return {}

    @property
    def log(self) -> Path:
        """What it wrote, all starts in one file."""
        return self.directory / f"{self.name}.log"

    def start(self) -> None:
        """Start the process; it need not answer yet."""
        command, user = self.command(), server_user()
        with self.log.open("ab") as log:
            self.process = psutil.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, user=user, group=user, cwd=self.directory,
                env={**os.environ, **self.variables()},
            )  # fmt: skip

    def wait_ready(self, is_ready: Callable[[], bool], *, until: float) -> None:
        """Wait until it is ready, where it runs.

        :param until: of the monotonic clock.
        :raises ServerError: it has ended, or is not ready in time.
        """
        while self.process is not None and not is_ready():
            if self.process.poll() is not None or time.monotonic() > until:
                raise ServerError(f"{self.name}: has ended or is not ready in time, see {self.log}")
            time.sleep(_PAUSE_S)

    def kill(self) -> None:
        """End it at once, as a loss of its machine would."""
        if self.process is not None:
            with suppress(psutil.NoSuchProcess):  # it may have ended by itself
                self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Stop it: it goes on accepting connections and never answers."""
        freezer.freeze(self._running().pid)

    def thaw(self) -> None:
        """Let it go on."""
        freezer.thaw(self._running().pid)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop it for the time of the block."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def end(self) -> None:
        """End it in order; kill it if it does not end in time."""
        if self.process is not None:
            self.thaw()
            with suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
                self.process.terminate()
                self.process.wait(_STOP_S)
            self.kill()

    def _running(self) -> psutil.Popen:
        if self.process is None:
            raise ServerError(f"{self.name}: does not run")
        return self.process


@contextmanager
def all_frozen(servers: Iterable[ServerProcess]) -> Iterator[None]:
    """Stop those that run, at one moment, for the time of the block."""
    with freezer.frozen(*(server.process.pid for server in servers if server.process is not None)):
        yield


class Servers(ABC):
    """Servers that are ready when their block is entered, and gone when it is left."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def start(self) -> None:
        """Start what does not run, and wait until all of it answers."""

    @abstractmethod
    def close(self) -> None:
        """End everything."""
