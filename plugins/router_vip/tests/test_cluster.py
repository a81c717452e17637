"""Whole clusters, each node on a host of its own: the address is where PostgreSQL takes writes, and at no moment on two nodes."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hacore.testing.capabilities import capabilities_of, with_only
from hacore.testing.cluster import Cluster, ClusterNode, sqlite_store
from hacore.testing.history import Session
from hacore.testing.namespaces import Link
from hacore.testing.waiting import wait_for
from hacore.testing.workdir import work_directory
from plugins.router_vip.tests.lab import BOTH, VIP4, VIP6

NODES = ("n1", "n2", "n3")
PORT = 5432
TTL_S, MARGIN_S = 10.0, 2.0
LONG_TTL_S, LONG_S = 60, 55  # and what is left of it until the forced fence begins, right after a renewal
NETWORKS = ("127.0.0.1/32", "::1/128", "10.77.0.0/24", "fd77::/64")
PATIENCE_S = 1.0

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("a cluster with a floating address")]


class Site:
    """A cluster, the link that it stands on, and a client at the bridge."""

    def __init__(self, link: Link, cluster: Cluster) -> None:
        self.link = link
        self.cluster = cluster

    def holders(self) -> list[str]:
        """The nodes that have an address of the two, whichever."""
        return [name for name in NODES if {VIP4, VIP6} & set(self.link.addresses(name))]

    def whole_holders(self) -> list[str]:
        return [name for name in NODES if {VIP4, VIP6} <= set(self.link.addresses(name))]

    def answers(self, address: str) -> str | None:
        """Which node takes a client's write at an address; ``None``: none."""
        words = f"host={address} port={PORT} user=postgres password={self.cluster['n1'].password} dbname=postgres connect_timeout=2"
        with suppress(Exception):
            session = Session(words, deadline_s=PATIENCE_S)
            try:
                session.query("CREATE TEMPORARY TABLE proof ()", deadline_s=PATIENCE_S)
                ((directory,),) = session.query("SELECT current_setting('data_directory')", deadline_s=PATIENCE_S)
                return Path(str(directory)).name
            finally:
                session.close()
        return None

    def leads_to(self, node: ClusterNode, *, within_s: float = 30.0) -> None:
        for address in (VIP4, VIP6):
            wait_for(self._is_at(address, node.name), f"{address} leads to {node.name}", deadline_s=within_s)
        wait_for(lambda: self.whole_holders() == self.holders() == [node.name], f"{node.name} alone has the addresses")

    def is_held_by(self, node: ClusterNode, *, until: Callable[[], bool]) -> None:
        """See that the node has the addresses all the time, until the condition holds, its agent answers, and the lease is a new one."""

        def is_over() -> bool:
            assert self.whole_holders() == [node.name]
            return until() and node.is_ok("/config") and self.valid_s(node) >= LONG_S - 1

        wait_for(is_over, f"{node.name} leads again", deadline_s=60.0)

    def valid_s(self, node: ClusterNode) -> int:
        """For how long the address stands."""
        found = self.link.addresses(node.name).get(VIP4)
        return int(found["valid_life_time"]) if found else 0

    def _is_at(self, address: str, name: str) -> Callable[[], bool]:
        return lambda: self.answers(address) == name


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with work_directory("vip-") as directory, Link(NODES) as link, link.entered():
        launchers = {name: (*link.launcher(name), *with_only(BOTH)) for name in NODES}
        plugin = {"interface": "eth0", "addresses": [f"{VIP4}/24", VIP6]}
        hba = [f"host {what} all {network} scram-sha-256" for network in NETWORKS for what in ("all", "replication")]
        cluster = Cluster(
            directory.path,
            store=sqlite_store(directory.path),
            nodes=(),
            dynamic={"hacore": {"ttl": int(TTL_S), "loop_wait": 1, "retry_timeout": 2}},
            local={"*": {"routers": ["vip"], "plugins": {"vip": plugin}, "bootstrap": {"pg_hba": ["local all all trust", *hba]}}},
            hosts={name: link.ipv4(name) for name in NODES},
            launchers=launchers,
            start=False,
        )
        with cluster:
            for name in NODES:
                _stand_alone(cluster.add(name))
            cluster.start()
            cluster.wait_ready()
            yield Site(link, cluster)


def _stand_alone(node: ClusterNode) -> None:
    """Have the server where it would be on a machine of its own: at the usual port, of all addresses that come and go."""
    node.pg_port = PORT
    node.settings["postgresql"].update(listen=f"*:{PORT}", connect_address=f"{node.host}:{PORT}")
    node.settings["postgresql"]["parameters"]["unix_socket_directories"] = ""
    node.write()


@contextmanager
def patience(site: Site, leader: ClusterNode) -> Iterator[None]:
    """Give a lease that a busy machine starts an agent in."""
    assert site.cluster.configure(hacore={"ttl": LONG_TTL_S}).status == 200
    wait_for(lambda: site.valid_s(leader) >= LONG_S - 1, "the longer lease is in force")
    yield
    assert site.cluster.configure(hacore={"ttl": int(TTL_S)}).status == 200
    wait_for(lambda: 0 < site.valid_s(leader) < TTL_S, "the shorter lease is in force")


def test_the_address_follows_a_switchover(site: Site) -> None:
    leader = site.cluster.wait_ready()
    site.leads_to(leader)
    for pid in [leader.pid("guard"), *leader.server_pids()]:
        assert capabilities_of(pid) == frozenset()
    assert site.cluster.switchover(candidate=site.cluster.others(leader)[0].name).status == 200
    successor = site.cluster.wait_ready()
    assert successor is not leader
    site.leads_to(successor)


def test_the_address_follows_when_the_leader_dies_and_is_with_the_next_one_alone(site: Site) -> None:
    leader = site.cluster.wait_ready()
    site.leads_to(leader)
    leader.kill("everything")
    successor = site.cluster.the_leader(other_than=leader.name)
    site.leads_to(successor)
    leader.start()
    site.cluster.wait_ready()
    site.leads_to(successor)


@pytest.mark.parametrize("part", ["agent", "hacore"])
def test_a_node_that_is_frozen_has_no_address_when_the_fence_has_ended_and_the_next_gets_it_after_that(site: Site, part: str) -> None:
    leader = site.cluster.wait_ready()
    site.leads_to(leader)
    stopped_at = time.monotonic()
    leader.send("agent" if part == "agent" else "hacore", signal.SIGSTOP)
    gone_at: float | None = None
    while not (found := set(site.holders())) - {leader.name}:
        gone_at = time.monotonic() if gone_at is None and not found else gone_at
        assert time.monotonic() - stopped_at < 60.0, "nobody has the address"
    assert found == {other for other in found if other != leader.name}, "two nodes had the address"
    assert gone_at is not None
    assert gone_at - stopped_at <= TTL_S - MARGIN_S  # F of the last renewal, which was sent before
    site.leads_to(site.cluster.the_leader(other_than=leader.name))
    if part == "hacore":
        leader.destroy()
        leader.start()
    site.leads_to(site.cluster.wait_ready())


def test_a_cable_that_is_cut_moves_nothing_while_the_lease_is_kept_and_clients_are_back_when_it_is_mended(site: Site) -> None:
    leader = site.cluster.wait_ready()
    site.leads_to(leader)
    site.link.cut(leader.name)  # the store is on the disk, so the lease goes on, and the address with it
    wait_for(lambda: site.answers(VIP4) is None, "no client gets there")
    assert site.holders() == [leader.name]
    site.link.mend(leader.name)
    site.cluster.wait_ready()
    site.leads_to(leader)


def test_an_agent_that_comes_back_before_the_fence_keeps_the_address_all_the_time(site: Site) -> None:
    leader = site.cluster.wait_ready()
    with patience(site, leader):
        before = leader.pid("agent")
        leader.kill("agent")
        site.is_held_by(leader, until=lambda: leader.pids("agent") not in ([], [before]) and leader.is_ok("/primary"))
    site.leads_to(leader)


def test_an_agent_that_is_started_again_in_a_pause_keeps_the_address_all_the_time(site: Site) -> None:
    leader = site.cluster.wait_ready()
    with patience(site, leader):
        assert site.cluster.configure(pause=True).status == 200
        wait_for(lambda: leader.status().get("pause"), "the leader knows of the pause")
        leader.end()
        assert site.whole_holders() == [leader.name]
        leader.start()
        site.is_held_by(leader, until=lambda: leader.is_ok("/primary"))
        assert site.cluster.configure(pause=None).status == 200
        site.cluster.wait_ready()
    site.leads_to(leader)


def test_the_address_goes_when_the_leader_ends_in_order(site: Site) -> None:
    leader = site.cluster.wait_ready()
    site.leads_to(leader)
    leader.end()
    assert leader.name not in site.holders()
    site.leads_to(site.cluster.the_leader(other_than=leader.name))
    leader.start()
    site.cluster.wait_ready()
