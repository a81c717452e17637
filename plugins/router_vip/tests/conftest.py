"""The link with two nodes and a client, for every test of this directory that asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.router_vip.tests.lab import Lab
from plugins.router_vip.tests.lab import lab as a_lab


@pytest.fixture
def lab(scratch: Path) -> Iterator[Lab]:
    with a_lab(scratch) as found:
        yield found
