"""A timer of the kernel that ends this very process, so that one which is stopped inside a transaction does not block all others.

The signal is SIGKILL: the kernel delivers it also to a process that is stopped. Knows nothing of databases.
"""

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_TIMER_ABSTIME: Final = 1
_SIGEV_SIGNAL: Final = 0
_NS_PER_S: Final = 1_000_000_000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class _SigEvent(ctypes.Structure):
    _fields_ = (("value", ctypes.c_void_p), ("signo", ctypes.c_int), ("notify", ctypes.c_int), ("pad", ctypes.c_char * 48))


class _TimeSpec(ctypes.Structure):
    _fields_ = (("s", ctypes.c_long), ("ns", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


class KillTimer:
    """SIGKILL to this process at an instant of the boot-time clock. Not inherited by fork, deleted by exec."""

    def __init__(self) -> None:
        self._timer = ctypes.c_void_p()
        self._exists = True
        event = _SigEvent(None, signal.SIGKILL, _SIGEV_SIGNAL)
        _check(_LIBC.timer_create(time.CLOCK_BOOTTIME, ctypes.byref(event), ctypes.byref(self._timer)), "timer_create")

    @contextmanager
    def armed(self, seconds: float) -> Iterator[None]:
        """End this process unless the block is left within ``seconds``."""
        self._set(time.clock_gettime_ns(time.CLOCK_BOOTTIME) + int(seconds * _NS_PER_S))
        try:
            yield
        finally:
            self._set(0)

    def close(self) -> None:
        """Give the timer back to the kernel. Closing twice is once."""
        if self._exists:
            self._exists = False
            _check(_LIBC.timer_delete(self._timer), "timer_delete")

    def _set(self, at_ns: int) -> None:
        spec = _TimerSpec(_TimeSpec(0, 0), _TimeSpec(*divmod(at_ns, _NS_PER_S)))
        _check(_LIBC.timer_settime(self._timer, _TIMER_ABSTIME, ctypes.byref(spec), None), "timer_settime")


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
