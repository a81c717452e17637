"""The kit for routers, as an unprivileged user on the host of node a. Run by ``test_conformance.py``, which has made the link."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from hacore.interfaces import Endpoint, RoutingState
from hacore.testing.conformance.plugin import PluginUnderTest
from hacore.testing.conformance.router import ProbeConformance, RevocationConformance, RouterCases, RouterConformance
from plugins.router_vip.tests.lab import ask

PLACE, ADDRESSES = Path(os.environ["VIP_KIT_PLACE"]), json.loads(os.environ["VIP_KIT_ADDRESSES"])
A, B = Endpoint(member="a", host="10.77.0.1", port=5432), Endpoint(member="b", host="10.77.0.2", port=5432)


def seen() -> str | None:
    """Who answers the client; all addresses must say the same."""
    (found,) = {ask(PLACE, address) for address in ADDRESSES}
    return found


def switch(state: str) -> None:
    subprocess.run(["ip", "link", "set", "eth0", state], check=True)


class TestVip(RouterConformance, RevocationConformance, ProbeConformance):
    @pytest.fixture
    def subject(self) -> PluginUnderTest:
        return PluginUnderTest(kind="router", name="vip", section={"interface": "eth0", "addresses": ADDRESSES, "duplicate_probe": False})

    @pytest.fixture
    def cases(self) -> RouterCases:
        return RouterCases(
            here=RoutingState(token=5, revision=0, me=A, leader=A, leads=True, members=(A, B)),
            elsewhere=RoutingState(token=6, revision=0, me=A, leader=B, standbys=(A,), members=(A, B)),
            target=seen,
            is_held=lambda: False,
            spoil=lambda: switch("down"),
            mend=lambda: switch("up"),
        )
