"""Starting a program as a child that the kernel ends when its parent ends.

Used by the guard for the postmaster and by the main process for its children; both have one thread. Does not know what it starts.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NoReturn

from hacore.guard.kernel import clear_ambient_capabilities, die_with_parent

_MAYBE_IGNORED: Final = (  # by us, or by who started us: a shell has what it puts in the background ignore INT and QUIT
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGPIPE,
    signal.SIGCHLD,
    signal.SIGXFSZ,
    signal.SIGTSTP,
)


class Program:
    """What to start, and how. ``keep`` names descriptors that the child inherits under their own numbers.

    ``with_capabilities`` lets it have the capabilities that the service manager has given us; any other child gets none.
    """

    __slots__ = ("argv", "before_exec", "cwd", "death_signal", "env", "keep", "new_session", "output_fd", "with_capabilities")

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], *, death_signal: int | None = None) -> None:
        self.argv = argv
        self.env = env
        self.death_signal = death_signal
        self.cwd: str | None = None
        self.output_fd: int | None = None
        self.new_session = False
        self.keep: Collection[int] = ()
        self.before_exec: Callable[[], object] | None = None
        self.with_capabilities = False


def spawn(program: Program) -> int:
    """Start the program and return its process id once it runs.

    :raises OSError: it could not be started; nothing is left of it.
    """
    told, tell = os.pipe()
    parent = os.getpid()
    try:
        pid = os.fork()
        if pid == 0:
            _become(program, parent, tell)
    finally:
        os.close(tell)
    with contextlib.closing(os.fdopen(told, "rb")) as failure:
        reason = failure.read()  # ends when the exec closes the other end
    if reason:
        os.waitpid(pid, 0)
        number, _, what = reason.decode(errors="replace").partition(":")
        raise OSError(int(number), what)
    return pid


def _become(program: Program, parent: int, tell: int) -> NoReturn:
    """In the child: turn into the program, or say why not and end."""
    try:
        if program.new_session:
            os.setsid()
        for signum in _MAYBE_IGNORED:
            signal.signal(signum, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        if program.output_fd is not None:
            os.dup2(program.output_fd, 1)
            os.dup2(program.output_fd, 2)
        for fd in program.keep:
            os.set_inheritable(fd, True)  # noqa: FBT003 - the name says what is true
        if program.cwd is not None:
            os.chdir(program.cwd)
        if program.before_exec is not None:
            program.before_exec()
        if not program.with_capabilities:
            clear_ambient_capabilities()
        if program.death_signal is not None:  # last: anything above might clear it
            die_with_parent(parent, program.death_signal)
        os.execve(program.argv[0], list(program.argv), dict(program.env))  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(tell, f"{error.errno or 0}:{error.strerror or error}: {program.argv[0]}".encode())
    finally:
        os._exit(127)
