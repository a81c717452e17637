"""What the service manager hears."""

import socket
from pathlib import Path

import pytest

from hacore.daemon.notify import Notifier, without_manager


def test_without_a_service_manager_nothing_is_said() -> None:
    notifier = Notifier({}, 42)
    notifier.ready("running")
    assert notifier.watchdog_s is None


def test_a_service_manager_hears_each_state(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "n"))
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "n")}, 42)
        notifier.ready("running")
        notifier.reloading(5_000_000)
        notifier.alive()
        notifier.stopping()
        heard = [manager.recv(1000) for _ in range(4)]
    assert heard == [b"READY=1\nSTATUS=running", b"RELOADING=1\nMONOTONIC_USEC=5000", b"WATCHDOG=1", b"STOPPING=1"]


@pytest.mark.parametrize(
    ("environment", "interval_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "43"}, None),
        ({"WATCHDOG_USEC": "often"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_interval_is_that_of_this_process(environment: dict[str, str], interval_s: float | None) -> None:
    assert Notifier({"NOTIFY_SOCKET": "@n", **environment}, 42).watchdog_s == interval_s


def test_children_do_not_talk_to_the_service_manager() -> None:
    given = {"NOTIFY_SOCKET": "n", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "PATH": "p"}
    assert without_manager(given) == {"PATH": "p"}
