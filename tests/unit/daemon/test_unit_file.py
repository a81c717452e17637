"""The unit that is shipped for systemd keeps what the fence needs of a service manager."""

from importlib.resources import files

import pytest


@pytest.fixture(scope="module")
def unit() -> dict[str, str]:
    text = files("hacore.daemon").joinpath("hacore@.service").read_text()
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Type", "notify"),
        ("NotifyAccess", "main"),
        ("KillMode", "process"),
        ("OOMPolicy", "continue"),
        ("RestartPreventExitStatus", "2"),
        ("LimitMEMLOCK", "infinity"),
    ],
)
def test_the_unit_says_it(unit: dict[str, str], key: str, value: str) -> None:
    assert unit[key] == value


def test_the_watchdog_leaves_the_guard_time_to_be_started_again(unit: dict[str, str]) -> None:
    assert int(unit["WatchdogSec"]) >= 30


def test_the_main_process_and_the_guard_are_protected_when_memory_is_short(unit: dict[str, str]) -> None:
    assert int(unit["OOMScoreAdjust"]) < 0
