"""A store that cannot be opened: tried again, or the end of an agent that begins."""

from typing import cast

import pytest

from hacore.agent.session import REFUSED_S, LateDcs, StoreRefusedError
from hacore.errors import ConfigError, DcsUnavailableError, HacoreError, PluginError
from hacore.interfaces import Dcs
from hacore.model.clock import BootClock
from hacore.testing.clocks import SetClock


def opened_late(error: HacoreError, *, has_server: bool, clock: SetClock | None = None) -> LateDcs:
    def refuse() -> Dcs:
        raise error

    return LateDcs(refuse, clock or BootClock(), has_server=lambda: has_server)


@pytest.mark.parametrize("refusal", [ConfigError("no right"), PluginError("no session")])
def test_a_store_that_goes_on_refusing_its_settings_ends_an_agent_without_a_server_only(refusal: HacoreError) -> None:
    clock = SetClock()
    begun, running = (opened_late(refusal, has_server=has_server, clock=clock) for has_server in (False, True))
    for _ in range(2):
        for session in (begun, running):  # a store that has just been started may not know of rights yet
            with pytest.raises(DcsUnavailableError, match=str(refusal)):
                session.snapshot(timeout_s=1.0)
        clock.at += REFUSED_S / 3
    clock.at += REFUSED_S / 3
    with pytest.raises(StoreRefusedError, match=str(refusal)):
        begun.snapshot(timeout_s=1.0)
    with pytest.raises(DcsUnavailableError, match=str(refusal)):
        running.snapshot(timeout_s=1.0)


@pytest.mark.parametrize("has_server", [True, False])
def test_a_store_that_does_not_answer_is_waited_for(*, has_server: bool) -> None:
    with pytest.raises(DcsUnavailableError, match="nobody"):
        opened_late(DcsUnavailableError("nobody"), has_server=has_server).snapshot(timeout_s=1.0)


def test_a_server_that_is_down_again_while_the_store_is_waited_for_changes_nothing() -> None:
    clock, found = SetClock(), [True, False, False]

    def refuse() -> Dcs:
        raise ConfigError("no right")

    session = LateDcs(refuse, clock, has_server=lambda: found.pop(0))
    for _ in range(3):
        with pytest.raises(DcsUnavailableError, match="no right"):
            session.snapshot(timeout_s=1.0)
        clock.at += 5.0


def test_a_session_that_cannot_be_watched_is_ended_before_another_is_opened() -> None:
    class Unwatched:
        def __init__(self) -> None:
            self.is_closed = False

        def watch(self, wake: object) -> None:
            raise DcsUnavailableError(f"no thread for {wake}")

        def close(self) -> None:
            self.is_closed = True

    clock, opened = SetClock(), list[Unwatched]()

    def open_one() -> Dcs:
        assert all(one.is_closed for one in opened)
        opened.append(Unwatched())
        return cast("Dcs", opened[-1])

    session = LateDcs(open_one, clock, has_server=lambda: True)
    session.watch(lambda: None)
    for _ in range(2):
        with pytest.raises(DcsUnavailableError, match="no thread"):
            session.snapshot(timeout_s=1.0)
        clock.at += REFUSED_S
    assert [one.is_closed for one in opened] == [True, True]
