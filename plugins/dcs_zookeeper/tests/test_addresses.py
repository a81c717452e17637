"""A name with several addresses, on a real server; who says what they are is of the test's own."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from hacore.interfaces import Renewed
from hacore.model.policy import Policy, Times
from hacore.testing.conformance.store import EVENTUALLY_S, Wakes, eventually, renew, request_for, take, takes_at_most
from hacore.testing.faults.proxy import TcpProxy
from hacore.testing.zookeeper import ZooKeeper
from hacore_dcs_zookeeper.plugin import ZookeeperPlugin
from hacore_dcs_zookeeper.settings import ZookeeperSettings
from plugins.dcs_zookeeper.tests.sessions import opened, owner, renewed

NAME = "zookeeper.test"
GOOD, BAD = "127.0.0.1", "127.0.0.2"
TTL_S = 10.0
TRIES = 8  # the addresses of a name are tried in any order: so often it is not always the good one that comes first


@dataclass
class Resolver:
    """Says what the addresses of ``NAME`` are, in the place of the machine's own, which still knows all other names."""

    addresses: tuple[str, ...] = (BAD, GOOD)
    takes_s: float = 0.0

    def __post_init__(self) -> None:
        self._own = socket.getaddrinfo

    def __call__(self, host: Any, port: Any, *arguments: Any, **more: Any) -> list[Any]:
        if host == NAME:
            time.sleep(self.takes_s)
        hosts = self.addresses if host == NAME else (host,)
        return [found for one in hosts for found in self._own(one, port, *arguments, **more)]


@dataclass
class Bad:
    """Listens where no server is."""

    port: int
    is_silent: bool
    tried: int = 0
    _held: list[socket.socket] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                self.tried += 1
                if self.is_silent:
                    self._held.append(peer)
                else:
                    peer.close()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.create_server((BAD, self.port)))
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            threading.Thread(target=self.serve, args=(listener,), daemon=True).start()
            yield
        for peer in self._held:
            peer.close()


@pytest.fixture
def zookeeper(scratch: Path) -> Iterator[ZooKeeper]:
    with ZooKeeper(scratch) as server:
        yield server


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    return resolver


def settings(zookeeper: ZooKeeper) -> ZookeeperSettings:
    return ZookeeperSettings(hosts=(f"{NAME}:{zookeeper.members[0].client_port}",))


@pytest.mark.usefixtures("resolver")
def test_an_address_that_refuses_is_followed_by_the_next_at_once(zookeeper: ZooKeeper) -> None:
    for _ in range(TRIES):
        with takes_at_most(0.5), opened(settings(zookeeper)):
            pass


@pytest.mark.usefixtures("resolver")
@pytest.mark.parametrize("is_silent", [False, True], ids=["closes", "silent"])
def test_an_address_that_does_not_serve_is_followed_by_the_next(zookeeper: ZooKeeper, is_silent: bool) -> None:
    bad = Bad(zookeeper.members[0].client_port, is_silent)
    with bad.listening():
        for number in range(TRIES):
            with takes_at_most(2.0), opened(settings(zookeeper), cluster=f"demo-{number}") as session:
                assert isinstance(renew(session, take(session, TTL_S), TTL_S), Renewed)
    assert bad.tried > 0


def test_a_session_goes_on_at_another_address_of_the_name(zookeeper: ZooKeeper, resolver: Resolver) -> None:
    port, wakes = zookeeper.members[0].client_port, Wakes()
    resolver.addresses = (BAD,)
    with TcpProxy((GOOD, port), (BAD, port)) as proxy, opened(settings(zookeeper)) as session:
        session.watch(wakes)
        lock = take(session, TTL_S)
        held_by, before = owner(zookeeper, "leader"), wakes.quiet()
        resolver.addresses = (BAD, GOOD)
        proxy.close()
        assert wakes.within(EVENTUALLY_S, after=before), "nobody knows what happened meanwhile"
        eventually(lambda: renewed(session, lock.instance, TTL_S))
        assert owner(zookeeper, "leader") == held_by != 0


def test_a_look_up_that_takes_longer_than_an_attempt_is_used_by_a_later_one(zookeeper: ZooKeeper, resolver: Resolver) -> None:
    resolver.takes_s = 4.5
    given = request_for("demo", "a")
    policy = Policy(times=Times(ttl_s=30.0, loop_wait_s=10.0, retry_timeout_s=10.0))
    request = replace(given, context=replace(given.context, policy=policy))
    with takes_at_most(6.0), contextlib.closing(ZookeeperPlugin(settings(zookeeper)).hacore_open_dcs(request)):
        pass
