"""The life of the guard process: one per data directory, in a session of its own, deaf to the signals that end others.

Does not know what it serves (service.py).
"""

import contextlib
import fcntl
import gc
import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Final

from hacore.guard import kernel
from hacore.guard.keeper import Keeper
from hacore.guard.paths import LOCK_NAME, SOCKET_NAME, address_of, ensure_state_dir
from hacore.guard.server import Server
from hacore.guard.service import Service

EXIT_LOCKED: Final = 3
_OOM_SCORE: Final = -900
_BACKLOG: Final = 16


def run(arguments: Sequence[str]) -> int:
    """Serve until nobody needs it any more."""
    if len(arguments) != 2:  # noqa: PLR2004 - as many as the usage names
        sys.stderr.write("usage: python -m hacore.guard STATE_DIR DATA_DIR\n")
        return 2
    state_dir, data_dir = (os.path.abspath(argument) for argument in arguments)
    if os.getpid() == 1:
        sys.stderr.write("hacore guard: process 1 ignores its own SIGKILL, so it cannot be the guard\n")
        return 1
    try:
        ensure_state_dir(state_dir)
        lock_fd = _lock(os.path.join(state_dir, LOCK_NAME))
        if lock_fd is None:
            return EXIT_LOCKED
        _settle()
        score = kernel.oom_score()
        if score is not None and score > _OOM_SCORE:
            kernel.set_oom_score(_OOM_SCORE)
        keeper = Keeper(Server(data_dir, score))
        listener = _listen(os.path.join(state_dir, SOCKET_NAME))
    except OSError as error:
        sys.stderr.write(f"hacore guard: cannot start: {error}\n")
        return 1
    if keeper.server.left_by_a_dead_guard():
        keeper.end(is_patient=False)
    kernel.lock_memory()
    gc.freeze()
    Service(keeper, listener).run()
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(state_dir, SOCKET_NAME))
    return 0


def _lock(path: str) -> int | None:
    """The descriptor that holds the lock of this state directory until the process ends; ``None`` when another guard has it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _settle() -> None:
    """A session of its own, no signal that a terminal or a service manager sends to everybody, every orphan below us ours."""
    with contextlib.suppress(PermissionError):  # started as the leader of its session already
        os.setsid()
    for signum in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE, signal.SIGTSTP):
        signal.signal(signum, signal.SIG_IGN)
    kernel.become_subreaper()
    kernel.name_process("hacore-guard")
    os.umask(0o077)
    os.chdir("/")


def _listen(path: str) -> socket.socket:
    """The socket, bound under another name first: whoever finds it under its own can connect at once."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    fresh = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh)
    with address_of(fresh) as address:
        listener.bind(address)
    listener.listen(_BACKLOG)
    os.replace(fresh, path)
    return listener
