"""etcd, of one and of three members, keeps what every store must promise."""

from collections.abc import Iterator

import pytest

from hacore.testing.conformance.dcs import DcsConformance, NetworkConformance, SeveralServersConformance, StoreUnderTest
from plugins.dcs_etcd.tests.served import Served, served


@pytest.fixture(scope="module")
def one_member() -> Iterator[Served]:
    with served(1) as etcd:
        yield etcd


@pytest.fixture(scope="module")
def three_members() -> Iterator[Served]:
    with served(3) as etcd:
        yield etcd


class TestOneMember(DcsConformance, NetworkConformance):
    @pytest.fixture
    def store(self, one_member: Served) -> StoreUnderTest:
        return one_member.under_test(one_member.endpoints)


class TestThreeMembers(DcsConformance, NetworkConformance, SeveralServersConformance):
    @pytest.fixture
    def store(self, three_members: Served) -> StoreUnderTest:
        return three_members.under_test(three_members.endpoints[:1])  # the others are found through it
