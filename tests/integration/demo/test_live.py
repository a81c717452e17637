"""The live demonstration on a terminal of its own: keys in, screen out, and a terminal that is as it was afterwards."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

import pytest

from tests.integration.demo.remains import directory_of, processes_of

START = [sys.executable, "-c", "import sys; from hacore.cli.main import main; main(sys.argv[1:])", "demo"]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SHOW_CURSOR, LEAVE_SCREEN = "\x1b[?25h", "\x1b[?1049l"


class Terminal:
    """A program on a terminal of 80 columns and 24 lines."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.modes = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen(
            START, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm", "LANG": "C.UTF-8"}, start_new_session=True
        )
        self.output = ""

    def read(self, wait_s: float = 0.2) -> None:
        ready, _, _ = select.select([self.master], [], [], wait_s)
        if ready:
            self.output += os.read(self.master, 65536).decode(errors="replace")

    def expect(self, pattern: str, *, within_s: float = 120.0) -> None:
        """Wait until it is shown; what was shown before counts no more."""
        ends_at = time.monotonic() + within_s
        while not (found := re.search(pattern, ESCAPES.sub("", self.output))):
            assert time.monotonic() < ends_at, f"not shown: {pattern}; the end was {ESCAPES.sub('', self.output)[-3000:]}"
            self.read()
        self.output = ESCAPES.sub("", self.output)[found.end() :]

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def end(self, *, within_s: float = 60.0) -> tuple[int, str]:
        """Wait for the end; answers the exit code and what was shown until then."""
        ends_at = time.monotonic() + within_s
        while self.process.poll() is None:
            assert time.monotonic() < ends_at, f"has not ended: {self.output[-2000:]}"
            self.read()
        self.read()
        return self.process.returncode, self.output

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.end()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    started = Terminal()
    try:
        yield started
    finally:
        started.close()


@pytest.mark.timeout(600)
def test_somebody_at_the_keys_sees_the_primary_move_and_leaves_nothing_behind(terminal: Terminal) -> None:
    terminal.expect("kill postmaster")
    terminal.expect("now hurt it", within_s=180)
    directory = directory_of(terminal.process.pid)
    terminal.press("s")
    terminal.expect(r"last gap: [\d,]+ ms, nothing lost \(n\d: switchover\)")
    terminal.press("k")
    terminal.expect("killed")
    terminal.expect(r"last gap: [\d,]+ ms, .*\(n\d: node killed\)")
    terminal.press("r")
    terminal.expect("started again")
    terminal.press("q")
    code, output = terminal.end()
    assert code == 0, output
    assert LEAVE_SCREEN in output
    assert SHOW_CURSOR in output
    assert "nothing is left behind" in output
    assert termios.tcgetattr(terminal.slave) == terminal.modes
    assert directory is not None
    assert not directory.exists()


@pytest.mark.timeout(300)
def test_a_signal_ends_the_live_view_in_order(terminal: Terminal) -> None:
    terminal.expect("creating replica|now hurt it")
    directory = directory_of(terminal.process.pid)
    terminal.process.send_signal(signal.SIGINT)
    code, output = terminal.end()
    assert code == 0
    assert LEAVE_SCREEN in output
    assert termios.tcgetattr(terminal.slave) == terminal.modes
    assert directory is not None
    assert processes_of(directory) == []
