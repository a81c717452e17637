"""A real etcd behind proxies, for the tests of this plugin."""

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from hacore.testing.conformance.dcs import DcsFaults, NetworkFaults, ServerFaults, StoreUnderTest
from hacore.testing.etcd import Etcd
from hacore.testing.faults.freezer import frozen
from hacore.testing.faults.proxy import Fault, TcpProxy
from hacore.testing.workdir import work_directory
from hacore_dcs_etcd.plugin import EtcdPlugin
from hacore_dcs_etcd.settings import EtcdSettings

NOWHERE = ("127.0.0.1", 9)
PREFIX = "/hacore-kit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A cluster of etcd, and the proxy before each of its members; clients are told of the proxies alone."""

    etcd: Etcd
    proxies: list[TcpProxy]

    @property
    def endpoints(self) -> tuple[str, ...]:
        return tuple(f"http://{proxy.endpoint}" for proxy in self.proxies)

    @contextlib.contextmanager
    def all_suffer(self, fault: Fault) -> Iterator[None]:
        with ExitStack() as stack:
            for proxy in self.proxies:
                stack.enter_context(proxy.suffering(fault))
            yield

    @contextlib.contextmanager
    def stalled(self) -> Iterator[None]:
        with frozen(*(member.process.pid for member in self.etcd.members if member.process is not None)):
            yield
        self.etcd.wait_ready()

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        self.etcd.close()
        yield
        self.etcd.start()

    @contextlib.contextmanager
    def one_suffers(self, fault: Fault) -> Iterator[None]:
        asked_last = max(self.proxies, key=lambda proxy: proxy.used_at)
        with asked_last.suffering(fault):
            yield

    def under_test(self, endpoints: tuple[str, ...]) -> StoreUnderTest:
        return StoreUnderTest(
            plugin=EtcdPlugin,
            settings=EtcdSettings(endpoints=endpoints),
            faults=DcsFaults(
                remove_lock=lambda cluster: self.delete(f"{PREFIX}/{cluster}/leader"),
                remove_member=lambda cluster, name: self.delete(f"{PREFIX}/{cluster}/members/{name}"),
                stalled=self.stalled,
                save=self.etcd.save,
                restore=self.etcd.restore,
            ),
            network=NetworkFaults(
                down=self.down,
                slow=lambda delay_s: self.all_suffer(Fault(answer_delay_s=delay_s)),
                drip=lambda: self.all_suffer(Fault(drip_s=0.1)),
                deaf=lambda: self.all_suffer(Fault(swallow_answers=True)),
            ),
            servers=ServerFaults(
                frozen=lambda: self.one_suffers(Fault(swallow_requests=True)),
                deaf=lambda: self.one_suffers(Fault(swallow_answers=True)),
            ),
        )

    def delete(self, key: str) -> None:
        assert self.etcd.control("del", key).strip() == "1"


@contextlib.contextmanager
def served(size: int, *arguments: str) -> Iterator[Served]:
    with ExitStack() as stack:
        directory: Path = stack.enter_context(work_directory("etcd-")).path
        proxies = [stack.enter_context(TcpProxy(NOWHERE)) for _ in range(size)]
        etcd = Etcd(directory, size=size, arguments=arguments, advertise=lambda index, _: f"http://{proxies[index].endpoint}")
        for proxy, member in zip(proxies, etcd.members, strict=True):
            proxy.aim(("127.0.0.1", member.client_port))
        stack.enter_context(etcd)
        yield Served(etcd=etcd, proxies=proxies)
