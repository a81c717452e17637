"""A real ZooKeeper behind proxies, for the tests of this plugin, and another client of it."""

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kazoo.client import KazooClient

from hacore.testing.conformance.dcs import DcsFaults, StoreUnderTest
from hacore.testing.conformance.proxied import Proxied
from hacore.testing.faults.proxy import TcpProxy
from hacore.testing.server_process import all_frozen
from hacore.testing.workdir import work_directory
from hacore.testing.zookeeper import ZooKeeper
from hacore_dcs_zookeeper.plugin import ZookeeperPlugin
from hacore_dcs_zookeeper.settings import ZookeeperSettings

NOWHERE = ("127.0.0.1", 9)
PREFIX = "/hacore-kit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served(Proxied):
    """An ensemble, and the proxy before each of its servers; clients are told of the proxies alone."""

    zookeeper: ZooKeeper

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(proxy.endpoint for proxy in self.proxies)

    @contextlib.contextmanager
    def stalled(self) -> Iterator[None]:
        with all_frozen(self.zookeeper.members):
            yield
        self.zookeeper.wait_ready()

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        self.zookeeper.kill()
        yield
        self.zookeeper.start()

    def under_test(self) -> StoreUnderTest:
        return StoreUnderTest(
            plugin=ZookeeperPlugin,
            settings=ZookeeperSettings(hosts=self.hosts),
            faults=DcsFaults(
                remove_lock=lambda cluster: self.delete(f"{PREFIX}/{cluster}/leader"),
                remove_member=lambda cluster, name: self.delete(f"{PREFIX}/{cluster}/members/{name}"),
                stalled=self.stalled,
                save=self.zookeeper.save,
                restore=self.zookeeper.restore,
            ),
            network=self.network_faults(self.down),
            servers=self.server_faults(),
        )

    def delete(self, path: str) -> None:
        with another_client(self.zookeeper) as client:
            client.delete(path)


@contextlib.contextmanager
def served(size: int, *lines: str) -> Iterator[Served]:
    with ExitStack() as stack:
        directory: Path = stack.enter_context(work_directory("zookeeper-")).path
        proxies = [stack.enter_context(TcpProxy(NOWHERE)) for _ in range(size)]
        zookeeper = stack.enter_context(ZooKeeper(directory, size=size, lines=lines))
        for proxy, server in zip(proxies, zookeeper.members, strict=True):
            proxy.aim(("127.0.0.1", server.client_port))
        yield Served(zookeeper=zookeeper, proxies=proxies)


@contextlib.contextmanager
def another_client(zookeeper: ZooKeeper, **options: Any) -> Iterator[KazooClient]:
    """kazoo as everybody else uses it, straight at the servers."""
    client = KazooClient(**{"hosts": ",".join(zookeeper.endpoints), **options})
    client.start(timeout=10.0)
    try:
        yield client
    finally:
        client.stop()
        client.close()
