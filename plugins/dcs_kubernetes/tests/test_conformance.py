"""Kubernetes, with the lock in each kind of object and with one and two API servers, keeps what every store must promise."""

import pytest

from hacore.testing.conformance.dcs import DcsConformance, NetworkConformance, SeveralServersConformance, StoreUnderTest
from hacore_dcs_kubernetes.objects import CONFIG_MAPS, ENDPOINTS, LEASES
from plugins.dcs_kubernetes.tests.served import Served


@pytest.mark.slow  # everyday the kit runs on Endpoints
class TestConfigMapsThroughTwoServers(DcsConformance, NetworkConformance, SeveralServersConformance):
    @pytest.fixture
    def store(self, shared: Served) -> StoreUnderTest:
        return shared.under_test(CONFIG_MAPS, servers=shared.servers)


class TestEndpoints(DcsConformance, NetworkConformance):
    @pytest.fixture
    def store(self, shared: Served) -> StoreUnderTest:
        return shared.under_test(ENDPOINTS)


@pytest.mark.slow  # everyday the kit runs on Endpoints
class TestLeases(DcsConformance, NetworkConformance):
    @pytest.fixture
    def store(self, shared: Served) -> StoreUnderTest:
        return shared.under_test(LEASES)
