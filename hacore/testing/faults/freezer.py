"""Processes that are stopped as a debugger, a hypervisor or a swapping machine would stop them."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

STOPPED_WITHIN_S: Final = 5.0
_STOPPED: Final = frozenset("tTZX")  # a process that has ended will not run either


@contextlib.contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Stop the processes for the time of the block."""
    freeze(*pids)
    try:
        yield
    finally:
        thaw(*pids)


def freeze(*pids: int) -> None:
    """Stop the processes, and wait until none of their threads runs."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + STOPPED_WITHIN_S
    while not all(_is_stopped(pid) for pid in pids):
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {pids}: not stopped within {STOPPED_WITHIN_S:.0f} s")
        time.sleep(0.001)


def thaw(*pids: int) -> None:
    """Let the processes go on."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _is_stopped(pid: int) -> bool:
    states = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            states.append((task / "stat").read_text().rpartition(")")[2].split()[0])
    return set(states) <= _STOPPED
