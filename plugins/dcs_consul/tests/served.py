"""A real Consul behind proxies, for the tests of this plugin."""

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from hacore.testing.conformance.dcs import DcsFaults, StoreUnderTest
from hacore.testing.conformance.proxied import Proxied
from hacore.testing.consul import Consul
from hacore.testing.faults.proxy import TcpProxy
from hacore.testing.server_process import all_frozen
from hacore.testing.workdir import work_directory
from hacore_dcs_consul.plugin import ConsulPlugin
from hacore_dcs_consul.settings import ConsulSettings

PREFIX = "hacore-kit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served(Proxied):
    """A cluster of Consul, and the proxy before each of its servers; clients are told of the proxies alone."""

    consul: Consul

    @property
    def endpoints(self) -> tuple[str, ...]:
        return tuple(f"http://{proxy.endpoint}" for proxy in self.proxies)

    @contextlib.contextmanager
    def stalled(self) -> Iterator[None]:
        with all_frozen(self.consul.servers):
            yield
        self.consul.wait_ready()

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        self.consul.close()
        yield
        self.consul.start()

    def under_test(self, settings: ConsulSettings) -> StoreUnderTest:
        return StoreUnderTest(
            plugin=ConsulPlugin,
            settings=settings,
            faults=DcsFaults(
                remove_lock=lambda cluster: self.delete(f"{PREFIX}/{cluster}/leader"),
                remove_member=lambda cluster, name: self.delete(f"{PREFIX}/{cluster}/members/{name}"),
                stalled=self.stalled,
                save=self.consul.save,
                restore=self.consul.restore,
            ),
            network=self.network_faults(self.down),
            servers=self.server_faults(),
        )

    def delete(self, key: str) -> None:
        assert self.consul.ask(f"kv/{key}", method="DELETE") is True


@contextlib.contextmanager
def served(size: int) -> Iterator[Served]:
    with ExitStack() as stack:
        directory: Path = stack.enter_context(work_directory("consul-")).path
        consul = stack.enter_context(Consul(directory, size=size))
        proxies = [stack.enter_context(TcpProxy(("127.0.0.1", server.ports["http"]))) for server in consul.servers]
        yield Served(consul=consul, proxies=proxies)
