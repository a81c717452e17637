"""Telling the service manager how we are: the datagrams of sd_notify(3). Silent where there is no service manager."""

import contextlib
import socket
from collections.abc import Mapping
from typing import Final

_US_PER_S: Final = 1_000_000
_NS_PER_US: Final = 1_000
_VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """One service manager, if any."""

    def __init__(self, environment: Mapping[str, str], pid: int) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = self._watchdog_s(environment, pid) if address else None

    @staticmethod
    def _watchdog_s(environment: Mapping[str, str], pid: int) -> float | None:
        """How often the service manager wants to hear of us at least; ``None`` where it does not watch us."""
        if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
            return None
        try:
            usec = int(environment.get("WATCHDOG_USEC", ""))
        except ValueError:
            return None
        return usec / _US_PER_S if usec > 0 else None

    def ready(self, status: str) -> None:
        """Started, or done with a reload."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self, monotonic_ns: int) -> None:
        """A reload began."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={monotonic_ns // _NS_PER_US}")

    def stopping(self) -> None:
        """The orderly end began."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Feed the service manager's watchdog."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        # A service manager that does not read must not hold us up, and one that is gone has no ears.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as channel:
            channel.sendto("\n".join(lines).encode(), self._address)


def without_manager(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a child: the service manager listens to us alone."""
    return {name: value for name, value in environment.items() if name not in _VARIABLES}
