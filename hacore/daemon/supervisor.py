"""The main process's loop: signals, reaping, the check of the configuration, the service manager. Nothing in it waits for a child.

Does not know what the children do (node.py).
"""

import contextlib
import os
import select
import signal
import time
from collections.abc import Mapping
from typing import Final

from hacore.daemon import exit_codes
from hacore.daemon.messages import say
from hacore.daemon.node import Commands, Node
from hacore.daemon.notify import Notifier, without_manager
from hacore.daemon.preparation import Preparation, Prepared
from hacore.daemon.signals import SignalPipe
from hacore.guard.kernel import NS_PER_S, boot_ns

_CHANGING_TICK_S: Final = 0.5  # while a child is to be started again, or all are to end
_STARTING_TICK_S: Final = 0.02
_FEEDS: Final = 0.25  # of the service manager's watchdog interval
_FORWARDED: Final = frozenset({signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT, signal.SIGABRT})
_ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT})


class Supervisor:
    """From the first look at the configuration until everything has ended."""

    def __init__(self, commands: Commands, environment: Mapping[str, str]) -> None:
        self._commands = commands
        self._is_init = os.getpid() == 1
        self._notifier = Notifier(environment, os.getpid())
        self._environment = without_manager(environment)
        self._signals = SignalPipe(is_init=self._is_init)
        self._node: Node | None = None
        self._preparation: Preparation | None = None
        self._is_reload_wanted = False
        self._is_ready = False
        self._fed_s = 0.0
        self._exit_code: int | None = None

    def run(self) -> int:
        """Run until the end; answers the exit code."""
        self._prepare()
        while self._exit_code is None:
            self._wait()
            for signum in self._signals.take():
                self._on_signal(signum)
            self._reap()
            self._turn()
        return self._exit_code

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._signals.fd, select.POLLIN)
        guard_fd = None if self._node is None else self._node.guard.fd
        if guard_fd is not None:
            poll.register(guard_fd, select.POLLIN)
        if self._preparation is not None:
            poll.register(self._preparation.fd, select.POLLIN)
        is_starting = self._node is not None and guard_fd is None
        ready = {fd for fd, _ in poll.poll((_STARTING_TICK_S if is_starting else self._tick_s()) * 1000)}
        if self._node is not None and guard_fd in ready:
            self._node.guard.check(boot_ns() / NS_PER_S, at_once=True)

    def _tick_s(self) -> float:
        if self._node is None or not self._is_ready or not self._node.is_settled:
            return _CHANGING_TICK_S
        tick_s, watchdog_s = self._node.heartbeat.tick_s, self._notifier.watchdog_s
        return tick_s if watchdog_s is None else min(tick_s, watchdog_s * _FEEDS)

    def _on_signal(self, signum: int) -> None:
        now_s = boot_ns() / NS_PER_S
        if signum == signal.SIGHUP:
            self._is_reload_wanted = True
        if signum in _FORWARDED and self._node is not None:
            self._node.forward(signum)
        if signum in _ENDING:
            if self._node is None:
                self._exit_code = exit_codes.OK
                return
            self._notifier.stopping()
            self._node.stop(now_s)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                code = os.waitstatus_to_exitcode(status)
                if self._preparation is not None and pid == self._preparation.pid:
                    self._prepared(self._preparation, code)
                elif self._node is not None:
                    self._node.reaped(pid, code, boot_ns() / NS_PER_S)

    def _turn(self) -> None:
        now_s = boot_ns() / NS_PER_S
        if self._preparation is not None:
            self._preparation.read()
        elif self._is_reload_wanted and self._node is not None:
            self._is_reload_wanted = False
            self._notifier.reloading(time.monotonic_ns())
            self._prepare()
        if self._node is None:
            return
        self._node.turn(now_s)
        if self._node.is_over:
            self._exit_code = self._node.conclude(is_container=self._is_init)
            return
        if not self._is_ready and self._node.has_agent_moved:
            self._is_ready = True
            self._notifier.ready("running")
        if self._is_ready:
            self._feed(now_s)

    def _feed(self, now_s: float) -> None:
        """Feed the service manager's watchdog, as long as the guard answers."""
        interval_s = self._notifier.watchdog_s
        if self._node is None or interval_s is None or now_s - self._fed_s < interval_s * _FEEDS:
            return
        if self._node.guard.silent_s < interval_s / 2:
            self._fed_s = now_s
            self._notifier.alive()

    def _prepare(self) -> None:
        try:
            self._preparation = Preparation(self._commands.prepare, self._environment)
        except OSError as error:
            say("error", f"the configuration cannot be checked: {error}")
            if self._node is None:
                self._exit_code = exit_codes.FATAL

    def _prepared(self, preparation: Preparation, code: int) -> None:
        """The check of the configuration ended: begin with it, or reload it, or say no."""
        while not preparation.read():
            time.sleep(_STARTING_TICK_S)
        self._preparation = None
        preparation.close()
        prepared = preparation.result() if code == exit_codes.OK else None
        if self._node is not None:
            self._reload(self._node, prepared)
        elif prepared is None:
            say("error", "the configuration is wrong")
            self._exit_code = code if code in {exit_codes.FATAL, exit_codes.CONFIGURATION} else exit_codes.FATAL
        else:
            self._begin(prepared)

    def _begin(self, prepared: Prepared) -> None:
        try:
            self._node = Node(prepared, self._commands, self._environment)
        except BlockingIOError:
            say("error", f"{prepared.state_dir}: another hacore runs for this data directory")
            self._exit_code = exit_codes.FATAL
        except OSError as error:
            say("error", f"{prepared.state_dir}: cannot be used: {error}")
            self._exit_code = exit_codes.FATAL

    def _reload(self, node: Node, prepared: Prepared | None) -> None:
        if prepared is None:
            say("error", "the new configuration is wrong: it is refused as a whole, the old settings stay")
        else:
            say("info", "the configuration is loaded again")
            node.forward(signal.SIGHUP)
        self._notifier.ready("running")
