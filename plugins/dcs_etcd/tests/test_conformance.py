"""etcd, of one and of three members, keeps what every store must promise."""

from collections.abc import Iterator

import pytest

from hacore.testing.conformance.dcs import DcsConformance, StoreUnderTest
from hacore_dcs_etcd.plugin import EtcdPlugin
from hacore_dcs_etcd.settings import EtcdSettings
from plugins.dcs_etcd.tests.served import Served, served


@pytest.fixture(scope="module")
def one_member() -> Iterator[Served]:
    with served(1) as etcd:
        yield etcd


@pytest.fixture(scope="module")
def three_members() -> Iterator[Served]:
    with served(3) as etcd:
        yield etcd


class TestOneMember(DcsConformance):
    @pytest.fixture
    def store(self, one_member: Served) -> StoreUnderTest:
        return StoreUnderTest(plugin=EtcdPlugin, settings=EtcdSettings(endpoints=one_member.endpoints), faults=one_member.faults())


class TestThreeMembers(DcsConformance):
    @pytest.fixture
    def store(self, three_members: Served) -> StoreUnderTest:
        settings = EtcdSettings(endpoints=three_members.endpoints[:1])  # the others are found through it
        return StoreUnderTest(plugin=EtcdPlugin, settings=settings, faults=three_members.faults())
