"""Signals as bytes of a pipe, so that the main loop meets them where it meets everything else."""

import os
import signal
from typing import Final

_FORWARDED_BY_INIT: Final = (signal.SIGQUIT, signal.SIGABRT)


class SignalPipe:
    """Takes the signals of the main process. As process 1 also those whose default would be nothing: the kernel protects it from them."""

    def __init__(self, *, is_init: bool) -> None:
        self.fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        taken = [signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD]
        taken += _FORWARDED_BY_INIT if is_init else ()
        for signum in taken:
            signal.signal(signum, self._nothing)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # who started us may have had them blocked

    @staticmethod
    def _nothing(_signum: int, _frame: object) -> None:
        """The byte in the pipe is all that is needed."""

    def take(self) -> list[int]:
        """The signals that came since the last look."""
        try:
            return list(os.read(self.fd, 512))
        except BlockingIOError:
            return []
