"""Making writes impossible: ending every process of the server, whatever state it is in.

Needs no store, no name look-up, no lock, no new thread and no write to a disk. Does not decide when.
"""

import contextlib
import os
import signal
import time
from typing import Final

from hacore.guard.kernel import boot_ns
from hacore.guard.processes import children_of
from hacore.guard.server import Server

_PAUSE_S: Final = 0.002


class Ended:
    """What a forced end did. ``remaining``: processes with SIGKILL pending that hang in the kernel; they run no more of their code."""

    __slots__ = ("killed", "remaining", "took_ns")

    def __init__(self, killed: int, remaining: frozenset[int], took_ns: int) -> None:
        self.killed = killed
        self.remaining = remaining
        self.took_ns = took_ns


def end_server(server: Server, patience_ns: int, sweep_ns: int) -> Ended:
    """End the server: SIGQUIT first if there is patience, then SIGKILL to whatever is left."""
    began_ns = boot_ns()
    if patience_ns > 0 and server.signal(signal.SIGQUIT):
        server.wait(patience_ns)
    killed, remaining = sweep(server, sweep_ns)
    return Ended(killed, remaining, boot_ns() - began_ns)


def sweep(server: Server, longest_ns: int) -> tuple[int, frozenset[int]]:
    """SIGKILL every process of the server, the postmaster last, and wait until they are gone; one round at least, however short the time.

    Answers how many got the signal, and which of them have not gone yet.
    """
    until_ns = boot_ns() + longest_ns
    killed: set[int] = set()
    if server.pid is not None:
        server.signal(signal.SIGSTOP)  # from here on it forks no more
        server.territory.remember_program(server.pid)
        _kill(_children(server), killed)
        if server.signal(signal.SIGKILL):
            killed.add(server.pid)
    while True:
        server.reap()
        # By descent first: that needs no look at the data directory, which may hang.
        children = _children(server)
        _kill(children, killed)
        inhabitants = server.territory.inhabitants()
        _kill(inhabitants, killed)
        left = frozenset((*children, *inhabitants))
        if not left and not server.is_alive:
            return len(killed), left
        if boot_ns() >= until_ns:
            return len(killed), left
        time.sleep(_PAUSE_S)


def _children(server: Server) -> list[int]:
    """Living children of the postmaster, and our own: orphans of the postmaster become ours."""
    parents = {os.getpid()}
    if server.pid is not None:
        parents.add(server.pid)
    return [pid for pid in children_of(frozenset(parents)) if pid != server.pid]


def _kill(pids: list[int], killed: set[int]) -> None:
    for pid in pids:
        if pid not in killed:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
