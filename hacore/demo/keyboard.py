"""Single keys from a terminal, without Enter and without an echo, and the terminal as it was afterwards."""

import contextlib
import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from typing import Final

_CONTROL_CHARACTERS: Final = 6  # where they stand in what tcgetattr answers
_NONE: Final = b"\0"
_MOST: Final = 64


@contextlib.contextmanager
def keyboard() -> Iterator[Callable[[float], str]]:
    """Give a function that waits some seconds for keys and answers those that were pressed; empty when none was.

    Ctrl-C stays a signal. Ctrl-Z means nothing meanwhile: servers would run on behind a program that stands still.
    """
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        changed = termios.tcgetattr(fd)
        changed[_CONTROL_CHARACTERS][termios.VSUSP] = _NONE
        termios.tcsetattr(fd, termios.TCSANOW, changed)

        def read(wait_s: float) -> str:
            ready, _, _ = select.select([fd], [], [], wait_s)
            return os.read(fd, _MOST).decode(errors="ignore") if ready else ""

        yield read
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
