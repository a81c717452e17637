"""A process of a server for tests: here a shell that writes a line and waits."""

import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from hacore.testing.server_process import ServerError, ServerProcess, Servers, all_frozen
from hacore.testing.waiting import wait_for

UNTIL_S = 20.0


@dataclass(slots=True, kw_only=True)
class Shell(ServerProcess):
    script: str = "echo $GREETING; exec sleep 1000"

    def command(self) -> list[str]:
        return ["/bin/sh", "-c", self.script]

    def variables(self) -> dict[str, str]:
        return {"GREETING": "hello"}

    def has_greeted(self) -> bool:
        return self.log.read_text() == "hello\n"


@pytest.fixture
def shell(scratch: Path) -> Iterator[Shell]:
    shell = Shell(name="shell", directory=scratch)
    shell.start()
    try:
        shell.wait_ready(shell.has_greeted, until=time.monotonic() + UNTIL_S)
        yield shell
    finally:
        shell.kill()


def running(shell: Shell) -> psutil.Popen:
    assert shell.process is not None
    return shell.process


def test_it_is_frozen_and_let_go_on(shell: Shell) -> None:
    with shell.frozen():
        assert running(shell).status() == psutil.STATUS_STOPPED
    wait_for(lambda: running(shell).status() == psutil.STATUS_SLEEPING, "it goes on")
    with all_frozen([shell, Shell(name="idle", directory=shell.directory)]):
        assert running(shell).status() == psutil.STATUS_STOPPED


def test_it_is_killed_also_while_it_is_frozen(shell: Shell) -> None:
    process = running(shell)
    shell.freeze()
    shell.kill()
    assert (shell.process, process.returncode) == (None, -signal.SIGKILL)
    shell.kill()
    with pytest.raises(ServerError, match="shell: does not run"):
        shell.thaw()


def test_it_is_ended_in_order_also_while_it_is_frozen(shell: Shell) -> None:
    process = running(shell)
    shell.freeze()
    shell.end()
    assert (shell.process, process.returncode) == (None, -signal.SIGTERM)


def test_one_that_ends_by_itself_or_is_never_ready_is_not_waited_for(shell: Shell) -> None:
    with pytest.raises(ServerError, match=str(shell.log)):
        shell.wait_ready(lambda: False, until=time.monotonic())
    shell.script = "exit 1"
    shell.kill()
    shell.start()
    with pytest.raises(ServerError, match=str(shell.log)):
        shell.wait_ready(lambda: False, until=time.monotonic() + UNTIL_S)


def test_servers_that_do_not_become_ready_are_ended(shell: Shell) -> None:
    class Unready(Servers):
        def start(self) -> None:
            raise ServerError("not ready")

        def close(self) -> None:
            shell.kill()

    with suppress(ServerError), Unready():
        pytest.fail("its block was entered")
    assert shell.process is None
