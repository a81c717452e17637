"""What ends the wait between two turns: a timer on the boot-time clock, somebody who calls ``wake``, the end of the postmaster.

``poll`` and ``select`` do not count a suspended machine: the timer is a timerfd with an absolute instant (timerfd_create(2)).
"""

import ctypes
import os
import select
from typing import Final

from hacore.model.clock import Instant

_CLOCK_BOOTTIME: Final = 7
_TFD_TIMER_ABSTIME: Final = 1
_NS: Final = 10**9


class _TimeSpec(ctypes.Structure):
    _fields_ = (("s", ctypes.c_long), ("ns", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


class Waiter:
    """One wait at a time; ``wake`` may be called from any thread and from a signal handler."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._timer = self._libc.timerfd_create(_CLOCK_BOOTTIME, os.O_CLOEXEC | os.O_NONBLOCK)
        if self._timer < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._timer, select.POLLIN)
        self._poll.register(self._event, select.POLLIN)
        self._watched: tuple[int, int] | None = None  # process id and its pidfd

    def wake(self) -> None:
        """End the wait."""
        os.eventfd_write(self._event, 1)

    def watch(self, pid: int | None) -> None:
        """End every wait at the end of this process (pidfd_open(2)); ``None``: of none."""
        if self._watched is not None and self._watched[0] == pid:
            return
        self._forget()
        if pid is None:
            return
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            self.wake()
            return
        self._watched = (pid, fd)
        self._poll.register(fd, select.POLLIN)

    def wait(self, until: Instant) -> bool:
        """Wait until the instant has come or somebody wakes; ``True``: somebody did, or had before."""
        at_ns = max(1, round(until * _NS))
        spec = _TimerSpec(_TimeSpec(0, 0), _TimeSpec(at_ns // _NS, at_ns % _NS))
        if self._libc.timerfd_settime(self._timer, _TFD_TIMER_ABSTIME, ctypes.byref(spec), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        is_woken = False
        for fd, _ in self._poll.poll():
            if fd == self._event:
                os.eventfd_read(self._event)
                is_woken = True
            elif self._watched is not None and fd == self._watched[1]:
                self._forget()
                is_woken = True
        return is_woken

    def close(self) -> None:
        """Give everything back."""
        self._forget()
        os.close(self._timer)
        os.close(self._event)

    def _forget(self) -> None:
        if self._watched is not None:
            self._poll.unregister(self._watched[1])
            os.close(self._watched[1])
        self._watched = None
