"""HAProxy with the configuration of examples/haproxy/haproxy.cfg, which asks `/primary` and `/replica`: clients follow the leader."""

import contextlib
import csv
import io
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from bench import proxies
from hacore.testing.history import DeadlinePassedError, Session, WriteLoad, boot_s
from hacore.testing.mixed import SUPERUSER_PASSWORD, MixedCluster, MixedNode, wait_for
from hacore.testing.ports import free_port
from hacore.testing.servers import locate

pytestmark = pytest.mark.xdist_group("clients")

EXAMPLE = Path(__file__).parents[3] / "examples" / "haproxy" / "haproxy.cfg"
LISTENS = {"primary": ":5000", "standbys": ":5001"}


def at_home(text: str, cluster: MixedCluster, ports: dict[str, int], directory: Path) -> str:
    """The example for this machine: its ports in the place of addresses, its sockets below ``directory``, nothing else."""
    text = text.replace("/run/haproxy/", f"{directory}/")
    for name, listen in LISTENS.items():
        text = replaced(text, f"bind {listen}\n", f"bind 127.0.0.1:{ports[name]}\n")
    for number, node in enumerate(cluster.nodes.values(), start=1):
        theirs = f"server node{number} 10.0.0.{number}:5432 check port 8008\n"
        text = replaced(text, theirs, f"server {node.name} 127.0.0.1:{node.pg_port} check port {node.rest_port}\n")
    return text


def replaced(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


class Proxy:
    """HAProxy in front of a cluster: a port for writes, a port for reads."""

    def __init__(self, cluster: MixedCluster, directory: Path) -> None:
        self.ports = {"primary": free_port(), "standbys": free_port()}
        self.directory = directory
        config = directory / "haproxy.cfg"
        config.write_text(at_home(EXAMPLE.read_text(), cluster, self.ports, directory))
        self.process = subprocess.Popen([locate("haproxy").program("haproxy"), "-db", "-f", config], stdin=subprocess.DEVNULL)

    def is_checked(self) -> bool:
        """Whether every server was asked: HAProxy takes each for up until then."""
        with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
            connection.connect(str(self.directory / "admin.sock"))
            connection.sendall(b"show stat primary 4 -1\n")
            text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
            rows = list(csv.DictReader(io.StringIO(text.removeprefix("# ").strip())))
            return [row["status"] for row in rows].count("UP") == 1 and all(row["check_code"] for row in rows)
        return False

    def dsn(self, path: str) -> str:
        return f"host=127.0.0.1 port={self.ports[path]} user=postgres password={SUPERUSER_PASSWORD} dbname=postgres"

    def port_behind(self, path: str) -> int | None:
        """The PostgreSQL that a new connection reaches."""
        try:
            session = Session(self.dsn(path))
        except (psycopg2.Error, DeadlinePassedError):  # where no server is up, HAProxy lets the client wait
            return None
        try:
            return int(session.query("SHOW port", deadline_s=3)[0][0])
        except (psycopg2.Error, DeadlinePassedError):
            return None
        finally:
            session.close()

    def wait_for_replicas(self, nodes: list[MixedNode]) -> None:
        """Connect for reads again and again until each of these nodes was reached."""
        missing = {node.pg_port for node in nodes}

        def all_reached() -> bool:
            missing.discard(self.port_behind("standbys") or 0)
            return not missing

        wait_for(all_reached, f"reads from {', '.join(node.name for node in nodes)}")


@pytest.fixture
def proxy(cluster: MixedCluster, scratch: Path) -> Iterator[Proxy]:
    one = Proxy(cluster, scratch)
    try:
        wait_for(one.is_checked, "the first checks")
        yield one
    finally:
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


@pytest.mark.parametrize("reading", [proxies.documented, proxies.usual, proxies.pushed])
def test_haproxy_takes_the_example_as_it_is_and_as_the_benchmark_reads_it(scratch: Path, reading: Callable[[str], str]) -> None:
    config = scratch / "haproxy.cfg"
    config.write_text(reading(EXAMPLE.read_text()))
    done = subprocess.run(
        [str(locate("haproxy").program("haproxy")), "-c", "-f", str(config)], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, "WARNING" in done.stderr) == (0, False), done.stderr


def test_sessions_to_a_node_that_is_no_longer_primary_are_cut(
    proxy: Proxy, cluster: MixedCluster, leader: MixedNode, replicas: list[MixedNode]
) -> None:
    wait_for(lambda: proxy.port_behind("primary") == leader.pg_port, "the primary behind its port")
    session = Session(proxy.dsn("primary"))
    cluster.switchover(leader.name, replicas[0].name)
    wait_for(lambda: proxy.port_behind("primary") == replicas[0].pg_port, "the new primary behind its port")
    with pytest.raises(psycopg2.Error):
        session.query("SELECT 1", deadline_s=3)
    session.close()
    cluster.wait_whole()


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
