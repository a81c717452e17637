"""The plugin passes the kit for routers with the rights that the unit grants, and with CAP_NET_ADMIN alone."""

import json
import re
import sys
from pathlib import Path

import pytest

from hacore.testing.capabilities import NET_ADMIN
from plugins.router_vip.tests.lab import BOTH, VIP4, VIP6, Lab

KIT = Path(__file__).with_name("kit.py")


@pytest.mark.parametrize("capabilities", [BOTH, (NET_ADMIN,)], ids=["as the unit grants", "CAP_NET_ADMIN alone"])
@pytest.mark.parametrize("address", [VIP4, VIP6])
def test_the_kit_passes_on_a_host_of_its_own(lab: Lab, capabilities: tuple[int, ...], address: str) -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(KIT)]
    done = lab.run("a", words, capabilities=capabilities, VIP_KIT_PLACE=str(lab.place), VIP_KIT_ADDRESSES=json.dumps([address]))
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 10
