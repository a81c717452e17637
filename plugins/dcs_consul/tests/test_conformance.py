"""Consul, of one and of three servers, keeps what every store must promise.

The servers allow sessions of a second, so that the kit need not wait for the 20 s that a lock stands at least where they allow 10 s.
"""

from collections.abc import Iterator

import pytest

from hacore.testing.conformance.dcs import DcsConformance, NetworkConformance, SeveralServersConformance, StoreUnderTest
from hacore_dcs_consul.settings import ConsulSettings
from plugins.dcs_consul.tests.served import Served, served

SHORTEST_TTL_S = 2.0


@pytest.fixture(scope="module")
def one_server() -> Iterator[Served]:
    with served(1) as consul:
        yield consul


@pytest.fixture(scope="module")
def three_servers() -> Iterator[Served]:
    with served(3) as consul:
        yield consul


@pytest.mark.slow  # everyday the kit runs on three servers
class TestOneServer(DcsConformance, NetworkConformance):
    @pytest.fixture
    def store(self, one_server: Served) -> StoreUnderTest:
        return one_server.under_test(ConsulSettings(endpoints=one_server.endpoints))

    @pytest.fixture
    def ttl_s(self) -> float:
        return SHORTEST_TTL_S


class TestThreeServers(DcsConformance, NetworkConformance, SeveralServersConformance):
    @pytest.fixture
    def store(self, three_servers: Served) -> StoreUnderTest:
        return three_servers.under_test(ConsulSettings(endpoints=three_servers.endpoints, consistency="stale"))

    @pytest.fixture
    def ttl_s(self) -> float:
        return SHORTEST_TTL_S
