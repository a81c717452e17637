"""etcd, of one and of three members, and behind all of its locks, keeps what every store must promise."""

from collections.abc import Iterator

import pytest

from hacore.testing.conformance.dcs import DcsConformance, NetworkConformance, SeveralServersConformance, StoreUnderTest
from plugins.dcs_etcd.tests.certificates import Authority
from plugins.dcs_etcd.tests.served import PREFIX, Served, guard, let_in, served


@pytest.fixture(scope="module")
def one_member() -> Iterator[Served]:
    with served(1) as etcd:
        yield etcd


@pytest.fixture(scope="module")
def three_members() -> Iterator[Served]:
    with served(3) as etcd:
        yield etcd


@pytest.fixture(scope="module")
def guarded_member() -> Iterator[Served]:
    with served(1, sign=lambda directory: Authority.made(directory).issued("server")) as etcd:
        let_in(etcd.etcd, "agent", prefix=f"{PREFIX}/")
        guard(etcd.etcd)
        yield etcd


@pytest.mark.slow  # everyday the kit runs on three members
class TestOneMember(DcsConformance, NetworkConformance):
    @pytest.fixture
    def store(self, one_member: Served) -> StoreUnderTest:
        return one_member.under_test(one_member.endpoints)


class TestThreeMembers(DcsConformance, NetworkConformance, SeveralServersConformance):
    @pytest.fixture
    def store(self, three_members: Served) -> StoreUnderTest:
        return three_members.under_test(three_members.endpoints[:1])  # the others are found through it


@pytest.mark.slow  # everyday the kit runs on three members, and test_access.py tries the rights
class TestGuardedMember(DcsConformance, NetworkConformance):
    """Encrypted, clients known by certificates, a user who may do nothing but below the one prefix."""

    @pytest.fixture
    def store(self, guarded_member: Served) -> StoreUnderTest:
        authority = Authority(guarded_member.etcd.directory)
        ours = authority.issued("agent", usage="clientAuth", is_named=False)
        files = {"cacert": str(ours.ca), "cert": str(ours.certificate), "key": str(ours.key)}
        return guarded_member.under_test(guarded_member.endpoints, username="agent", password="right", **files)
