"""A cluster of three real nodes, every one of which tells one HAProxy; the first also keeps its configuration."""

import contextlib
import signal
import threading
from collections.abc import Iterator

import psycopg2
import pytest

from hacore.testing.cluster import PASSWORD, Cluster, ClusterNode, sqlite_store
from hacore.testing.history import DeadlinePassedError, Session, WriteLoad, boot_s
from hacore.testing.ports import Ports
from hacore.testing.waiting import wait_for
from hacore.testing.workdir import work_directory
from plugins.router_haproxy.tests.served import Haproxy, site_section

pytestmark = [pytest.mark.xdist_group("haproxy cluster"), pytest.mark.timeout(240)]
DEADLINE_S = 60


class Site:
    """The cluster and the proxy before it."""

    def __init__(self, cluster: Cluster, haproxy: Haproxy) -> None:
        self.cluster, self.haproxy = cluster, haproxy

    def dsn(self, port: int) -> str:
        return f"host=127.0.0.1 port={port} user=postgres password={PASSWORD} dbname=postgres connect_timeout=20"

    @property
    def writes(self) -> str:
        return self.dsn(self.haproxy.primary_port)

    def behind(self, port: int) -> int | None:
        """The port of the PostgreSQL that a new connection reaches."""
        try:
            session = Session(self.dsn(port))
        except (psycopg2.Error, DeadlinePassedError):
            return None
        try:
            return int(session.query("SHOW port", deadline_s=3)[0][0])
        except (psycopg2.Error, DeadlinePassedError):
            return None
        finally:
            session.close()

    def wait_for_writes_to(self, node: ClusterNode) -> None:
        wait_for(lambda: self.behind(self.haproxy.primary_port) == node.pg_port, f"writes reach {node.name}", deadline_s=DEADLINE_S)

    def open_servers(self, backend: str = "hacore_primary") -> set[str]:
        """The servers of a backend that are not in maintenance."""
        return {name for name, (_, admin) in self.haproxy.servers(backend).items() if not int(admin) & 1}


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with work_directory("haproxy-", session=request.session) as directory, Ports() as ports:
        haproxy = Haproxy(directory=directory.path, ports=ports, is_given_away=True)
        told = {"routers": ["haproxy"], "plugins": {"haproxy": {"stats_socket": str(haproxy.socket)}}}
        keeper = {"plugins": {"haproxy": site_section(haproxy)}}
        with Cluster(directory.path, store=sqlite_store(directory.path), local={"*": told, "n1": keeper}) as cluster:
            try:
                wait_for(haproxy.config.exists, "the first node writes the configuration", deadline_s=DEADLINE_S)
                haproxy.start()
                cluster.wait_ready()
                yield Site(cluster, haproxy)
            finally:
                haproxy.stop()


@pytest.fixture
def leader(site: Site) -> ClusterNode:
    """The leader of a whole cluster, to which the proxy leads."""
    leader = site.cluster.wait_ready()
    site.wait_for_writes_to(leader)
    return leader


def test_writes_go_to_the_leader_and_reads_to_the_standbys(site: Site, leader: ClusterNode) -> None:
    standbys = site.cluster.others(leader)
    names = {node.name for node in standbys}
    wait_for(lambda: site.open_servers("hacore_standbys") == names, "standbys are open for reads, the leader is not", deadline_s=DEADLINE_S)
    missing = {node.pg_port for node in standbys}

    def all_reached() -> bool:
        missing.discard(site.behind(site.haproxy.standby_port) or 0)
        return not missing

    wait_for(all_reached, "reads reach every standby", deadline_s=DEADLINE_S)
    assert site.open_servers() == {leader.name}
    wait_for(lambda: _target(leader) == leader.name, "the node shows where the proxy leads", deadline_s=DEADLINE_S)


def _target(node: ClusterNode) -> object:
    return node.status().get("hacore", {}).get("routers", {}).get("haproxy", {}).get("target")


def test_clients_follow_a_switchover_and_lose_nothing(site: Site, leader: ClusterNode) -> None:
    candidate, _ = site.cluster.others(leader)
    load = WriteLoad({"proxy": site.writes}).start()
    idle = Session(site.writes)
    assert idle.query("SHOW port", deadline_s=3)[0][0] == str(leader.pg_port)
    asked_at = boot_s()
    assert site.cluster.switchover(leader=leader.name, candidate=candidate.name).status == 200
    site.wait_for_writes_to(candidate)
    before = load.progress().acknowledged
    wait_for(lambda: load.progress().acknowledged > before + 20, "writes go on", deadline_s=DEADLINE_S)
    with pytest.raises(psycopg2.Error):  # a session to the old leader does not outlive it
        idle.query("SHOW port", deadline_s=3)
    idle.close()
    report = load.stop()
    assert report.problems() == []
    assert report.gap_ms(asked_at) is not None


class Visits(threading.Thread):
    """Clients that come one after the other, each for one row, until they are stopped."""

    def __init__(self, dsn: str) -> None:
        super().__init__(daemon=True)
        self.dsn, self.done, self.errors = dsn, 0, list[str]()
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.01):
            try:
                with contextlib.closing(psycopg2.connect(self.dsn)) as connection:
                    connection.autocommit = True
                    connection.cursor().execute("INSERT INTO visits DEFAULT VALUES")
            except psycopg2.Error as error:
                self.errors.append(str(error))
            else:
                self.done += 1

    def stop(self) -> list[str]:
        self._ended.set()
        self.join(DEADLINE_S)
        return self.errors


def test_clients_that_come_in_a_switchover_wait_and_none_is_refused(site: Site, leader: ClusterNode) -> None:
    candidate, _ = site.cluster.others(leader)
    leader.query("CREATE TABLE IF NOT EXISTS visits (at timestamptz DEFAULT now())")
    visits = [Visits(site.writes) for _ in range(4)]
    for one in visits:
        one.start()
    wait_for(lambda: all(one.done for one in visits), "every client was there", deadline_s=DEADLINE_S)
    assert site.cluster.switchover(leader=leader.name, candidate=candidate.name).status == 200
    site.wait_for_writes_to(candidate)
    before = [one.done for one in visits]
    wait_for(lambda: all(one.done > past for one, past in zip(visits, before, strict=True)), "visits go on", deadline_s=DEADLINE_S)
    assert [error for one in visits for error in one.stop()] == []


def test_clients_follow_a_failover(site: Site, leader: ClusterNode) -> None:
    load = WriteLoad({"proxy": site.writes}).start()
    leader.destroy()
    successor = site.cluster.the_leader(other_than=leader.name)
    site.wait_for_writes_to(successor)
    before = load.progress().acknowledged
    wait_for(lambda: load.progress().acknowledged > before + 20, "writes go on", deadline_s=DEADLINE_S)
    assert site.open_servers() == {successor.name}
    report = load.stop()
    assert report.overlaps == ()
    leader.start()
    site.cluster.wait_ready()
    assert site.open_servers() == {successor.name}


def test_what_an_agent_that_stood_still_believes_is_older_than_what_the_proxy_follows(site: Site, leader: ClusterNode) -> None:
    leader.stop("agent")
    try:
        successor = site.cluster.the_leader(other_than=leader.name)
        site.wait_for_writes_to(successor)
    finally:
        leader.cont("agent")
    site.cluster.wait_ready()
    assert site.open_servers() == {successor.name}
    assert site.behind(site.haproxy.primary_port) == successor.pg_port


def test_a_proxy_that_is_restarted_in_the_middle_of_a_failover_leads_to_the_new_leader(site: Site, leader: ClusterNode) -> None:
    leader.destroy()
    site.haproxy.stop()
    successor = site.cluster.the_leader(other_than=leader.name)
    site.haproxy.start()
    site.wait_for_writes_to(successor)
    assert site.open_servers() == {successor.name}
    leader.start()
    site.cluster.wait_ready()


def test_a_proxy_that_hangs_delays_neither_a_switchover_nor_the_lease(site: Site, leader: ClusterNode) -> None:
    candidate, _ = site.cluster.others(leader)
    site.haproxy.signal(signal.SIGSTOP)
    try:
        assert site.cluster.switchover(leader=leader.name, candidate=candidate.name).status == 200
        assert site.cluster.the_leader(other_than=leader.name) is candidate
    finally:
        site.haproxy.signal(signal.SIGCONT)
    site.wait_for_writes_to(candidate)
    assert site.open_servers() == {candidate.name}
    site.cluster.wait_ready()
