"""One node's session with the store: what the loop sees of it through a network that delays, loses and cuts.

A call takes virtual time. A request may be lost, may take effect without an answer, or may take effect long after the caller has given
up; an answer that comes after the deadline has not come. It keeps what was really renewed, and when that was sent, for those who judge.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from hacore.errors import DcsUnavailableError
from hacore.interfaces import (
    Acquired,
    AcquireRequest,
    DcsCapabilities,
    Record,
    Refused,
    ReleaseRequest,
    Renewed,
    RenewRequest,
    Snapshot,
    WriteRequest,
    Written,
)
from hacore.model.clock import Instant
from hacore.model.lease import Lock
from hacore.testing.simulation.clock import NodeClock
from hacore.testing.simulation.engine import Engine, Event
from hacore.testing.simulation.network import STORE, Network
from hacore.testing.simulation.store import Store

T = TypeVar("T")


@dataclass(slots=True)
class SessionFaults:
    """What may happen to the calls of one node."""

    lost_answer: float = 0.0  # probability
    late_effect: float = 0.0  # probability that a lost request takes effect after the caller has given up


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueLease:
    """The newest lock that this node was told of, and when its last successful request for it was sent, in true time."""

    lock: Lock
    sent_at: float
    ttl_s: float


@dataclass(slots=True)
class Leases:
    """What one machine was told about its lock; outlives the agent."""

    newest: TrueLease | None = None
    on_told: Callable[[TrueLease], None] | None = None

    def told(self, lease: TrueLease) -> None:
        """Take in a successful acquisition or renewal."""
        self.newest = lease
        if self.on_told is not None:
            self.on_told(lease)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contents:
    revision: int
    lock: Lock | None
    records: list[tuple[str, str, int]]
    members: list[tuple[str, str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Which node a session is of, and what may happen to it."""

    member: str
    clock: NodeClock
    faults: SessionFaults
    leases: Leases


class Session:
    """A store as one agent sees it (:class:`hacore.interfaces.Dcs`)."""

    def __init__(self, engine: Engine, network: Network, store: Store, endpoint: Endpoint) -> None:
        self._engine = engine
        self._network = network
        self._store = store
        self._member = endpoint.member
        self._clock = endpoint.clock
        self._faults = endpoint.faults
        self._leases = endpoint.leases
        self._dice: Random = engine.dice(f"session of {endpoint.member} at {engine.now}")
        self._received: dict[tuple[str, str], tuple[int, Instant]] = {}
        self._wake: Callable[[], None] | None = None
        self._notice: Event | None = None
        self._is_closed = False
        self.requests = 0

    @property
    def capabilities(self) -> DcsCapabilities:
        """Return what this store can do."""
        return DcsCapabilities()

    def snapshot(self, *, timeout_s: float) -> Snapshot:
        """Read everything."""
        sent_at = self._clock.now()
        return self._picture(sent_at, self._call(timeout_s, self._contents))

    def acquire(self, request: AcquireRequest, *, timeout_s: float) -> Acquired | Refused:
        """Take the lock."""
        sent_at, true_sent_at = self._clock.now(), self._engine.now
        lock = self._call(timeout_s, lambda: self._store.acquire(self._member, request))
        if lock is None:
            return Refused()
        self._leases.told(TrueLease(lock=lock, sent_at=true_sent_at, ttl_s=request.ttl_s))
        return Acquired(lock=lock, sent_at=sent_at)

    def renew(self, request: RenewRequest, *, timeout_s: float) -> Renewed | Refused:
        """Prolong the lock."""
        sent_at, true_sent_at = self._clock.now(), self._engine.now

        def work() -> _Contents | None:
            return self._contents() if self._store.renew(self._member, request) else None

        contents = self._call(timeout_s, work)
        if contents is None:
            return Refused(holder=self._holder())
        self._leases.told(TrueLease(lock=request.lock, sent_at=true_sent_at, ttl_s=request.ttl_s))
        return Renewed(sent_at=sent_at, snapshot=self._picture(sent_at, contents))

    def release(self, request: ReleaseRequest, *, timeout_s: float) -> Written | Refused:
        """Give the lock back."""
        versions = self._call(timeout_s, lambda: self._store.release(self._member, request))
        return Refused(holder=self._holder()) if versions is None else Written(versions=versions)

    def write(self, request: WriteRequest, *, timeout_s: float) -> Written | Refused:
        """Write by comparison."""
        versions = self._call(timeout_s, lambda: self._store.write(self._member, request))
        return Refused(holder=self._holder()) if versions is None else Written(versions=versions)

    def publish(self, value: str, *, ttl_s: float, timeout_s: float) -> None:
        """Write this member's record."""
        self._call(timeout_s, lambda: self._store.publish(self._member, value, ttl_s))

    def withdraw(self, *, timeout_s: float) -> None:
        """Remove this member's record."""
        self._call(timeout_s, lambda: self._store.withdraw(self._member))

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` after changes."""
        self._wake = wake
        self._store.watch(self._member, self._changed)

    def close(self) -> None:
        """End the session."""
        self._is_closed = True
        self._store.watch(self._member, None)

    # --- the wire -----------------------------------------------------------------------------------------------------

    def _call(self, timeout_s: float, work: Callable[[], T]) -> T:
        engine, network = self._engine, self._network
        self.requests += 1
        deadline = engine.now + max(timeout_s, 0.0) / self._clock.rate
        arrives_at = engine.now + network.delay(self._member, STORE)
        if not network.reaches(self._member, STORE) or network.loses():
            if self._dice.random() < self._faults.late_effect:  # it stood in a queue and is worked on when nobody waits any more
                engine.at(deadline + self._dice.uniform(0.0, 4.0), lambda: self._work_late(work))
            self._give_up(deadline)
        answers: list[tuple[T, float]] = []
        engine.at(arrives_at, lambda: self._work(work, answers))  # also where the caller is stopped or killed meanwhile
        engine.sleep_until(min(arrives_at, deadline))
        if not answers or answers[0][1] >= deadline:
            self._give_up(deadline)
        answer, back_at = answers[0]
        engine.sleep_until(back_at)
        if engine.now > deadline:  # the process was stopped: the answer is late however early it came
            raise DcsUnavailableError("the answer came after the deadline")
        return answer

    def _work(self, work: Callable[[], T], answers: list[tuple[T, float]]) -> None:
        """At the store: let a request take effect, and send the answer on its way."""
        if not self._store.is_available:
            return
        answer = work()
        network = self._network
        is_lost = not network.reaches(STORE, self._member) or network.loses() or self._dice.random() < self._faults.lost_answer
        if not is_lost:
            answers.append((answer, self._engine.now + network.delay(STORE, self._member)))

    def _give_up(self, deadline: float) -> None:
        self._engine.sleep_until(deadline)
        raise DcsUnavailableError("no answer in time")

    def _work_late(self, work: Callable[[], T]) -> None:
        if self._store.is_available and self._network.reaches(self._member, STORE):
            work()

    def _changed(self) -> None:
        """Bring the news to the node, one message for many changes."""
        if self._notice is not None and self._notice.action is not None and self._notice.at > self._engine.now:
            return
        if not self._store.is_available or not self._network.reaches(STORE, self._member):
            return
        self._notice = self._engine.after(self._network.delay(STORE, self._member), self._arrived)

    def _arrived(self) -> None:
        self._notice = None
        if self._wake is not None and not self._is_closed:
            self._wake()

    def _contents(self) -> "_Contents":
        store = self._store
        return _Contents(
            revision=store.revision,
            lock=store.lock,
            records=[(name, one.value, one.version) for name, one in store.records().items()],
            members=[(name, one.value, one.version) for name, one in store.members().items()],
        )

    def _picture(self, sent_at: Instant, contents: "_Contents") -> Snapshot:
        return Snapshot(
            sent_at=sent_at,
            revision=contents.revision,
            lock=contents.lock,
            records={name: self._record("record", name, value, version) for name, value, version in contents.records},
            members={name: self._record("member", name, value, version) for name, value, version in contents.members},
        )

    def _record(self, kind: str, name: str, value: str, version: int) -> Record:
        known = self._received.get((kind, name))
        if known is None or known[0] != version:
            known = (version, self._clock.now())
            self._received[kind, name] = known
        return Record(value=value, version=version, received_at=known[1])

    def _holder(self) -> str | None:
        return self._store.lock.holder if self._store.lock else None
