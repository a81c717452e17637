"""A store that cannot be opened: tried again, or the end of an agent that begins."""

import pytest

from hacore.agent.session import LateDcs, StoreRefusedError
from hacore.errors import ConfigError, DcsUnavailableError, HacoreError, PluginError
from hacore.interfaces import Dcs
from hacore.model.clock import BootClock


def opened_late(error: HacoreError, *, has_server: bool) -> LateDcs:
    def refuse() -> Dcs:
        raise error

    return LateDcs(refuse, BootClock(), has_server=lambda: has_server)


@pytest.mark.parametrize("refusal", [ConfigError("no right"), PluginError("no session")])
def test_a_store_that_refuses_its_settings_ends_an_agent_without_a_server_only(refusal: HacoreError) -> None:
    with pytest.raises(StoreRefusedError, match=str(refusal)):
        opened_late(refusal, has_server=False).snapshot(timeout_s=1.0)
    session = opened_late(refusal, has_server=True)
    for _ in range(2):
        with pytest.raises(DcsUnavailableError, match=str(refusal)):
            session.snapshot(timeout_s=1.0)


@pytest.mark.parametrize("has_server", [True, False])
def test_a_store_that_does_not_answer_is_waited_for(*, has_server: bool) -> None:
    with pytest.raises(DcsUnavailableError, match="nobody"):
        opened_late(DcsUnavailableError("nobody"), has_server=has_server).snapshot(timeout_s=1.0)
