"""What the fence needs of the kernel and Python's standard library does not wrap: timers, signals at a parent's death, locked memory.

Knows nothing of PostgreSQL, of leases or of hacore. Every figure is a constant of the Linux interface.
"""

import contextlib
import ctypes
import os
import resource
import signal
import time
from typing import Final

NS_PER_S: Final = 1_000_000_000

_CLOCK_BOOTTIME: Final = 7
_TIMER_ABSTIME: Final = 1
_TFD_TIMER_ABSTIME: Final = 1
_TFD_FLAGS: Final = os.O_NONBLOCK | os.O_CLOEXEC
_SIGEV_SIGNAL: Final = 0
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_MCL_CURRENT: Final = 1
_MCL_FUTURE: Final = 2
_MCL_ONFAULT: Final = 4
_OOM_SCORE: Final = "/proc/self/oom_score_adj"

_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class _SigEvent(ctypes.Structure):
    _fields_ = (("value", ctypes.c_void_p), ("signo", ctypes.c_int), ("notify", ctypes.c_int), ("pad", ctypes.c_char * 48))


class _TimeSpec(ctypes.Structure):
    _fields_ = (("s", ctypes.c_long), ("ns", ctypes.c_long))


class _ITimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


def boot_ns() -> int:
    """Nanoseconds since boot, time in suspension included: the one clock of the fence."""
    return time.clock_gettime_ns(_CLOCK_BOOTTIME)


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


def _at(at_ns: int) -> _ITimerSpec:
    seconds, rest = divmod(max(at_ns, 0), NS_PER_S)
    return _ITimerSpec(_TimeSpec(0, 0), _TimeSpec(seconds, rest))


class KillTimer:
    """A timer whose signal is SIGKILL to this very process: it fires even while the process is stopped.

    Deleted by exec and by the end of the process, not inherited by fork.
    """

    def __init__(self) -> None:
        self._timer = ctypes.c_void_p()
        event = _SigEvent(None, signal.SIGKILL, _SIGEV_SIGNAL)
        _check(_LIBC.timer_create(_CLOCK_BOOTTIME, ctypes.byref(event), ctypes.byref(self._timer)), "timer_create")

    def set(self, at_ns: int) -> None:
        """Fire at this instant of the boot-time clock; 0 disarms."""
        _check(_LIBC.timer_settime(self._timer, _TIMER_ABSTIME, ctypes.byref(_at(at_ns)), None), "timer_settime")


class WakeTimer:
    """A file descriptor that becomes readable at an instant of the boot-time clock: polls with a timeout do not count suspension."""

    def __init__(self) -> None:
        self.fd: int = _LIBC.timerfd_create(_CLOCK_BOOTTIME, _TFD_FLAGS)
        if self.fd < 0:
            _check(-1, "timerfd_create")

    def set(self, at_ns: int) -> None:
        """Become readable at this instant; 0 means never."""
        _check(_LIBC.timerfd_settime(self.fd, _TFD_TIMER_ABSTIME, ctypes.byref(_at(at_ns)), None), "timerfd_settime")

    def drain(self) -> None:
        """Take the expiry, so that the descriptor is not readable any more."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 8)


def die_with_parent(parent_pid: int, signum: int) -> None:
    """Have the kernel send ``signum`` to this process when its parent ends. In the child, after any change of uid, just before exec.

    :raises OSError: the kernel refused.
    :raises ProcessLookupError: the parent had ended before the signal was set.
    """
    _check(_LIBC.prctl(_PR_SET_PDEATHSIG, signum, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent_pid:
        raise ProcessLookupError("the parent ended while its child was being started")


def clear_ambient_capabilities() -> None:
    """Hand no capability on to what this process executes from now on; what it has itself stays until then. In the only thread there is.

    A service manager grants an unprivileged service its capabilities as ambient ones, which every exec inherits.
    """
    _LIBC.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)  # fails on kernels before 4.3 alone, which know none


def become_subreaper() -> None:
    """Become the parent of every orphan among the own descendants, so that none of them can outlive notice."""
    _check(_LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl(PR_SET_CHILD_SUBREAPER)")


def name_process(name: str) -> None:
    """Set the name that ``ps -o comm`` and ``top`` show; at most 15 bytes."""
    _check(_LIBC.prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()[:15]), 0, 0, 0), "prctl(PR_SET_NAME)")


def lock_memory() -> bool:
    """Keep the pages of this process in memory as they are touched. Answers whether the kernel allowed it.

    Only without a limit: under a finite one, MCL_FUTURE would make a later allocation fail, and that could be one of the fence.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft != resource.RLIM_INFINITY and os.geteuid() != 0:
        return False
    return bool(_LIBC.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0)


def oom_score() -> int | None:
    """How eagerly the kernel ends this process when memory is short; ``None`` where it does not say."""
    try:
        with open(_OOM_SCORE, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def set_oom_score(score: int) -> bool:
    """Raise or lower that eagerness. Answers whether it was allowed: lowering needs a privilege."""
    try:
        with open(_OOM_SCORE, "w", encoding="ascii") as file:
            file.write(str(score))
    except OSError:
        return False
    return True
