"""A real etcd behind proxies, for the tests of this plugin."""

import contextlib
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from hacore.errors import DcsUnavailableError
from hacore.interfaces import Dcs, Put, Renewed, RenewRequest
from hacore.testing.conformance.dcs import DcsFaults, StoreUnderTest
from hacore.testing.conformance.proxied import Proxied
from hacore.testing.conformance.store import CALL_S, look, request_for, write
from hacore.testing.etcd import Etcd, Tls
from hacore.testing.faults.proxy import TcpProxy
from hacore.testing.server_process import all_frozen
from hacore.testing.workdir import work_directory
from hacore_dcs_etcd.plugin import EtcdPlugin
from hacore_dcs_etcd.settings import EtcdSettings

NOWHERE = ("127.0.0.1", 9)
PREFIX = "/hacore-kit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served(Proxied):
    """A cluster of etcd, and the proxy before each of its members; clients are told of the proxies alone."""

    etcd: Etcd

    @property
    def endpoints(self) -> tuple[str, ...]:
        return tuple(f"{self.etcd.members[0].scheme}://{proxy.endpoint}" for proxy in self.proxies)

    @contextlib.contextmanager
    def stalled(self) -> Iterator[None]:
        with all_frozen(self.etcd.members):
            yield
        self.etcd.wait_ready()

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        self.etcd.stop()
        yield
        self.etcd.start()

    def under_test(self, endpoints: tuple[str, ...], **credentials: str) -> StoreUnderTest:
        return StoreUnderTest(
            plugin=EtcdPlugin,
            settings=EtcdSettings(endpoints=endpoints, **credentials),  # type: ignore[arg-type]
            faults=DcsFaults(
                remove_lock=lambda cluster: self.delete(f"{PREFIX}/{cluster}/leader"),
                remove_member=lambda cluster, name: self.delete(f"{PREFIX}/{cluster}/members/{name}"),
                stalled=self.stalled,
                save=self.etcd.save,
                restore=self.etcd.restore,
            ),
            network=self.network_faults(self.down),
            servers=self.server_faults(),
        )

    def delete(self, key: str) -> None:
        assert self.etcd.control("del", key).strip() == "1"


@contextlib.contextmanager
def served(size: int, *arguments: str, sign: Callable[[Path], Tls] | None = None) -> Iterator[Served]:
    with ExitStack() as stack:
        directory: Path = stack.enter_context(work_directory("etcd-")).path
        proxies = [stack.enter_context(TcpProxy(NOWHERE)) for _ in range(size)]
        tls = sign(directory) if sign else None
        scheme = "https" if tls else "http"
        etcd = Etcd(directory, size=size, tls=tls, arguments=arguments, advertise=lambda index, _: f"{scheme}://{proxies[index].endpoint}")
        for proxy, member in zip(proxies, etcd.members, strict=True):
            proxy.aim(("127.0.0.1", member.client_port))
        stack.enter_context(etcd)
        yield Served(etcd=etcd, proxies=proxies)


def let_in(etcd: Etcd, user: str, *, prefix: str, password: str = "right") -> None:
    """Make a user who may read and write below one prefix, and nothing else."""
    etcd.control("role", "add", f"only-{user}")
    etcd.control("role", "grant-permission", f"only-{user}", "readwrite", "--prefix", prefix)
    etcd.control("user", "add", f"{user}:{password}")
    etcd.control("user", "grant-role", user, f"only-{user}")


def guard(etcd: Etcd) -> None:
    """Let nobody in who has no user."""
    etcd.control("user", "add", "root:of-root")
    etcd.control("user", "grant-role", "root", "root")
    etcd.control("auth", "enable")
    etcd.user = "root:of-root"


def settings_of(etcd: Etcd, **more: str | None) -> EtcdSettings:
    return EtcdSettings(endpoints=tuple(member.url for member in etcd.members), **more)  # type: ignore[arg-type]


@contextlib.contextmanager
def opened(settings: EtcdSettings, member: str = "a", *, cluster: str = "demo") -> Iterator[Dcs]:
    with contextlib.closing(EtcdPlugin(settings).hacore_open_dcs(request_for(cluster, member))) as session:
        yield session


def renewed(session: Dcs, instance: str) -> bool:
    """Tell whether the lock could be renewed; that it was lost is a failure."""
    with contextlib.suppress(DcsUnavailableError):
        seen = look(session)
        assert seen.lock is not None
        assert seen.lock.instance == instance
        answer = session.renew(RenewRequest(lock=seen.lock, ttl_s=10.0), timeout_s=CALL_S)
        assert isinstance(answer, Renewed)
        return True
    return False


def is_written(session: Dcs, name: str, value: str) -> bool:
    with contextlib.suppress(DcsUnavailableError):
        write(session, Put(name=name, value=value))
        return look(session).records[name].value == value
    return False


def calls(etcd: Etcd) -> dict[str, int]:
    """The calls that the server has been sent, by their name."""
    found = re.findall(r'^grpc_server_started_total\{grpc_method="(\w+)".*\} (\S+)$', etcd.metrics(etcd.members[0]), re.MULTILINE)
    return {name: int(float(count)) for name, count in found}
