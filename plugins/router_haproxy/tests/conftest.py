"""HAProxy and two servers for each test; whatever happens, none of it outlives the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hacore.testing.ports import Ports
from plugins.router_haproxy.tests.served import Haproxy, Who, behind


@pytest.fixture
def ports() -> Iterator[Ports]:
    with Ports() as ports:
        yield ports


@pytest.fixture
def haproxy(scratch: Path, ports: Ports) -> Iterator[Haproxy]:
    one = Haproxy(directory=scratch, ports=ports)
    yield one
    one.stop()


@pytest.fixture
def servers(ports: Ports) -> Iterator[dict[str, Who]]:
    with behind(ports, "a", "b") as servers:
        yield servers
