"""HAProxy with health checks on `/primary` and `/replica`, as its users configure it: clients follow a switchover and a failover."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from hacore.testing.history import Session, WriteLoad, boot_s
from hacore.testing.mixed import SUPERUSER_PASSWORD, MixedCluster, MixedNode, free_port, wait_for
from hacore.testing.servers import locate

pytestmark = pytest.mark.xdist_group("clients")

HEAD = """
global
    maxconn 200
defaults
    mode tcp
    retries 2
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    timeout check 2s
"""
PART = """
listen {path}
    bind 127.0.0.1:{port}
    option httpchk OPTIONS /{path}
    http-check expect status 200
    default-server inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions
"""


class Proxy:
    """HAProxy in front of a cluster: a port for writes, a port for reads."""

    def __init__(self, cluster: MixedCluster, directory: Path) -> None:
        self.ports = {"primary": free_port(), "replica": free_port()}
        servers = [f"    server {node.name} 127.0.0.1:{node.pg_port} check port {node.rest_port}\n" for node in cluster.nodes.values()]
        parts = [PART.format(path=path, port=port) + "".join(servers) for path, port in self.ports.items()]
        config = directory / "haproxy.cfg"
        config.write_text(HEAD + "".join(parts))
        self.process = subprocess.Popen([locate("haproxy").program("haproxy"), "-db", "-f", config], stdin=subprocess.DEVNULL)

    def dsn(self, path: str) -> str:
        return f"host=127.0.0.1 port={self.ports[path]} user=postgres password={SUPERUSER_PASSWORD} dbname=postgres"

    def port_behind(self, path: str) -> int | None:
        """The PostgreSQL that a new connection reaches."""
        try:
            session = Session(self.dsn(path))
        except psycopg2.Error:
            return None
        try:
            return int(session.query("SHOW port", deadline_s=3)[0][0])
        except psycopg2.Error:
            return None
        finally:
            session.close()

    def wait_for_replicas(self, nodes: list[MixedNode]) -> None:
        """Connect for reads again and again until each of these nodes was reached."""
        missing = {node.pg_port for node in nodes}

        def all_reached() -> bool:
            missing.discard(self.port_behind("replica") or 0)
            return not missing

        wait_for(all_reached, f"reads from {', '.join(node.name for node in nodes)}")


@pytest.fixture
def proxy(cluster: MixedCluster, scratch: Path) -> Iterator[Proxy]:
    one = Proxy(cluster, scratch)
    yield one
    one.process.terminate()
    one.process.wait(10)


def test_each_port_leads_to_the_right_role(proxy: Proxy, leader: MixedNode, replicas: list[MixedNode]) -> None:
    wait_for(lambda: proxy.port_behind("primary") == leader.pg_port, "the primary behind its port")
    proxy.wait_for_replicas(replicas)


def test_a_client_follows_a_switchover_and_loses_nothing(
    proxy: Proxy, cluster: MixedCluster, leader: MixedNode, replicas: list[MixedNode]
) -> None:
    load = WriteLoad({"proxy": proxy.dsn("primary")}).start()
    asked_at = boot_s()
    cluster.switchover(leader.name, replicas[0].name)
    wait_for(lambda: proxy.port_behind("primary") == replicas[0].pg_port, "the new primary behind its port")
    before = load.progress().acknowledged
    wait_for(lambda: load.progress().acknowledged > before + 20, "writes to go on")
    cluster.wait_whole()
    report = load.stop()
    assert report.problems() == []
    gap_ms = report.gap_ms(asked_at)
    assert gap_ms is not None
    assert gap_ms < 10_000


def test_a_client_follows_a_failover_and_the_lost_node_serves_reads_once_it_is_back(
    proxy: Proxy, cluster: MixedCluster, leader: MixedNode, replicas: list[MixedNode]
) -> None:
    load = WriteLoad({"proxy": proxy.dsn("primary")}).start()
    product = leader.product
    assert product is not None
    leader.kill_everything()
    wait_for(lambda: proxy.port_behind("primary") in {node.pg_port for node in replicas}, "a new primary behind its port", 60)
    before = load.progress().acknowledged
    wait_for(lambda: load.progress().acknowledged > before + 20, "writes to go on")
    report = load.stop()
    assert report.overlaps == ()
    assert report.read_back
    leader.start(product)
    cluster.wait_whole()
    proxy.wait_for_replicas([leader])
