"""What the kit for stores needs of the store under test, and how its tests open sessions."""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from hacore.hookspecs import OpenDcs, PluginContext
from hacore.interfaces import (
    Acquired,
    AcquireRequest,
    Dcs,
    DcsCapabilities,
    Put,
    Refused,
    Renewed,
    RenewRequest,
    Snapshot,
    WriteRequest,
    Written,
)
from hacore.model.clock import BootClock, Instant
from hacore.model.lease import Lock
from hacore.model.policy import Policy, Times

CALL_S: Final = 3.0  # limit of an ordinary call
SLACK_S: Final = 1.0  # what a call may take beyond its limit on a busy machine
EXPIRY_SLACK_S: Final = 4.0  # for how long a store may keep what has expired; the challenger rule does not mind
EVENTUALLY_S: Final = 20.0
TIMES: Final = Times(ttl_s=4.0, loop_wait_s=1.0, retry_timeout_s=3.0)
NAMESPACE: Final = "/hacore-kit/"


@dataclass(frozen=True, slots=True, kw_only=True)
class DcsFaults:
    """What can be done to any store from outside, never by patching the plugin."""

    remove_lock: Callable[[str], None]  # of a cluster, by somebody else's hand
    remove_member: Callable[[str, str], None]  # record of a member of a cluster, likewise
    stalled: Callable[[], AbstractContextManager[None]]  # no write is answered for the time of the block: frozen, not gone
    save: Callable[[], object]  # take a copy of the whole store ...
    restore: Callable[[Any], None]  # ... and put it in the store's place


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFaults:
    """What can be done to a store that is reached over a network, likewise."""

    down: Callable[[], AbstractContextManager[None]]  # killed; there again, with all it had, after the block
    slow: Callable[[float], AbstractContextManager[None]]  # each answer comes so many seconds late
    drip: Callable[[], AbstractContextManager[None]]  # answers come one byte now and then
    deaf: Callable[[], AbstractContextManager[None]]  # requests take effect, their answers are lost


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFaults:
    """What can be done to one server of several: the one that was asked last, while the others go on."""

    frozen: Callable[[], AbstractContextManager[None]]
    deaf: Callable[[], AbstractContextManager[None]]  # requests take effect, their answers are lost


def nothing_to_prepare(cluster: str, member: str) -> None:
    """A store needs nothing before a member can be one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUnderTest:
    """A store that runs, and the plugin with the settings to reach it."""

    plugin: type[Any]  # the class that the entry point names
    settings: object  # what its schema made of its section; picklable
    faults: DcsFaults
    network: NetworkFaults | None = None  # wanted by :class:`NetworkConformance`
    servers: ServerFaults | None = None  # wanted by :class:`SeveralServersConformance`
    admit: Callable[[str, str], None] = nothing_to_prepare  # what must be there of a cluster's member before it opens a session: its pod

    def open(self, cluster: str, member: str) -> Dcs:
        """Open a session of a member."""
        self.admit(cluster, member)
        session: Dcs = self.plugin(self.settings).hacore_open_dcs(request_for(cluster, member))
        return session


def request_for(cluster: str, member: str, *, observer: bool = False) -> OpenDcs:
    """Return the request that opens a session of a member."""
    context = PluginContext(scope=cluster, namespace=NAMESPACE, member=member, clock=BootClock(), policy=Policy(times=TIMES))
    return OpenDcs(context=context, observer=observer)


@dataclass(slots=True)
class Wakes:
    """A loop that only notes when it was woken."""

    count: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self) -> None:
        """Take note; called from the session's thread."""
        with self.changed:
            self.count += 1
            self.changed.notify_all()

    def quiet(self, for_s: float = 0.3) -> int:
        """Wait until nobody has woken it for a while; the number of wakes so far."""
        with self.changed:
            while True:
                before = self.count
                if not self.changed.wait_for(lambda before=before: self.count > before, for_s):  # type: ignore[misc]
                    return before

    def within(self, seconds: float, *, after: int) -> bool:
        """Wait for a wake beyond ``after``."""
        with self.changed:
            return self.changed.wait_for(lambda: self.count > after, seconds)


class StoreKit:
    """Fixtures and words of the tests. A subclass says what ``store`` is; it may be shared, each test has a cluster of its own in it."""

    @pytest.fixture
    def store(self) -> StoreUnderTest:
        """Return the store under test."""
        raise NotImplementedError("a subclass of the kit says what the store is")

    @pytest.fixture
    def capabilities(self, store: StoreUnderTest) -> DcsCapabilities:
        """Return what the store declares of itself."""
        declared: DcsCapabilities = store.plugin.hacore_dcs_capabilities()
        return declared

    @pytest.fixture
    def network(self, store: StoreUnderTest) -> NetworkFaults:
        """Return what the network can do to the store."""
        assert store.network is not None, "the store is reached over a network: say in StoreUnderTest.network what that can do to it"
        return store.network

    @pytest.fixture
    def servers(self, store: StoreUnderTest) -> ServerFaults:
        """Return what can happen to one of its servers."""
        assert store.servers is not None, "the store has several servers: say in StoreUnderTest.servers what can happen to one of them"
        return store.servers

    @pytest.fixture
    def cluster(self) -> str:
        """Return the scope of a cluster that nobody else uses."""
        return f"kit-{uuid.uuid4().hex[:12]}"

    @pytest.fixture
    def open_dcs(self, store: StoreUnderTest, cluster: str) -> Iterator[Callable[[str], Dcs]]:
        """Return what opens a session of a member; all are closed at the end."""
        with ExitStack() as stack:

            def opened(member: str) -> Dcs:
                return stack.enter_context(contextlib.closing(store.open(cluster, member)))

            yield opened

    @pytest.fixture
    def a(self, open_dcs: Callable[[str], Dcs]) -> Dcs:
        """Return a session of the member ``a``."""
        return open_dcs("a")

    @pytest.fixture
    def b(self, open_dcs: Callable[[str], Dcs]) -> Dcs:
        """Return a session of the member ``b``."""
        return open_dcs("b")

    @pytest.fixture
    def wakes(self, b: Dcs) -> Wakes:
        """Return the wakes of ``b``, which watches and has been woken for the opening of its watch."""
        wakes = Wakes()
        b.watch(wakes)
        assert wakes.within(EVENTUALLY_S, after=0)
        wakes.quiet()
        return wakes

    @pytest.fixture
    def together(self, capabilities: DcsCapabilities) -> tuple[str, ...]:
        """Return names of records that the store changes in one transaction."""
        return max(capabilities.transactions, key=len, default=("config", "status", "failover"))

    @pytest.fixture
    def with_the_lock(self, capabilities: DcsCapabilities) -> tuple[str, ...]:
        """Return names of records that the store changes in one transaction with the lock."""
        return next(iter(capabilities.transactions), ("hacore", "status"))

    @pytest.fixture
    def lingers_s(self, capabilities: DcsCapabilities) -> float:
        """Return for how long a lock that has expired may still stand."""
        return EXPIRY_SLACK_S if capabilities.ttl_is_minimum else SLACK_S

    @pytest.fixture
    def ttl_s(self, capabilities: DcsCapabilities) -> float:
        """Return the shortest time to live that the store keeps."""
        return max(2.0, capabilities.minimum_ttl_s)


def now() -> Instant:
    """Return boot-time seconds."""
    return BootClock().now()


def look(session: Dcs) -> Snapshot:
    """Read everything."""
    return session.snapshot(timeout_s=CALL_S)


def take(session: Dcs, ttl_s: float, *puts: Put) -> Lock:
    """Acquire the lock, which must be free."""
    return taken(session.acquire(AcquireRequest(ttl_s=ttl_s, puts=puts), timeout_s=CALL_S)).lock


def taken(answer: Acquired | Refused) -> Acquired:
    """Return the answer, which must not be a refusal."""
    assert isinstance(answer, Acquired), answer
    return answer


def renew(session: Dcs, lock: Lock, ttl_s: float, *puts: Put) -> Renewed | Refused:
    """Renew the lock."""
    return session.renew(RenewRequest(lock=lock, ttl_s=ttl_s, puts=puts), timeout_s=CALL_S)


def write(session: Dcs, *puts: Put, lock: Lock | None = None) -> Written | Refused:
    """Write records."""
    return session.write(WriteRequest(puts=puts, lock=lock), timeout_s=CALL_S)


def written(session: Dcs, *puts: Put, lock: Lock | None = None) -> tuple[int, ...]:
    """Write records, which must not be refused; their versions."""
    answer = write(session, *puts, lock=lock)
    assert isinstance(answer, Written), answer
    return answer.versions


def eventually(condition: Callable[[], bool], *, within_s: float = EVENTUALLY_S) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:.0f} s"
        time.sleep(0.02)


@contextlib.contextmanager
def takes_at_most(seconds: float) -> Iterator[None]:
    """Judge how long the block took."""
    started = now()
    yield
    took = now() - started
    assert took <= seconds + SLACK_S, f"took {took:.2f} s, want at most {seconds:.2f} s"
