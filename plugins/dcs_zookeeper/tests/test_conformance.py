"""ZooKeeper, of one and of three servers, keeps what every store must promise."""

from collections.abc import Iterator

import pytest

from hacore.testing.conformance.dcs import DcsConformance, NetworkConformance, SeveralServersConformance, StoreUnderTest
from plugins.dcs_zookeeper.tests.served import Served, served


@pytest.fixture(scope="module")
def one_server() -> Iterator[Served]:
    with served(1) as zookeeper:
        yield zookeeper


@pytest.fixture(scope="module")
def three_servers() -> Iterator[Served]:
    with served(3) as zookeeper:
        yield zookeeper


@pytest.mark.slow  # everyday the kit runs on three servers
class TestOneServer(DcsConformance, NetworkConformance):
    @pytest.fixture
    def store(self, one_server: Served) -> StoreUnderTest:
        return one_server.under_test()


class TestThreeServers(DcsConformance, NetworkConformance, SeveralServersConformance):
    @pytest.fixture
    def store(self, three_servers: Served) -> StoreUnderTest:
        return three_servers.under_test()
