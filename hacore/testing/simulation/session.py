"""One node's session with the store: what the loop sees of it, at the end of a wire on which calls take virtual time.

It keeps what was really renewed, and when that was sent, for those who judge.
"""

from collections.abc import Callable
from dataclasses import dataclass

from hacore.interfaces import (
    Acquired,
    AcquireRequest,
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
from hacore.testing.simulation.engine import Engine
from hacore.testing.simulation.network import Network
from hacore.testing.simulation.store import Store
from hacore.testing.simulation.wire import SessionFaults, Wire


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
        self._store = store
        self._member = endpoint.member
        self._clock = endpoint.clock
        self._leases = endpoint.leases
        self._name = f"{endpoint.member} since {engine.now}"
        self._wire = Wire(engine, network, store, endpoint.member, endpoint.clock, endpoint.faults)
        self._received: dict[tuple[str, str], tuple[int, Instant]] = {}
        self._kept: Snapshot | None = None  # what was read last, until a wake has come or something was written here
        self._heeds_watch = engine.dice(f"watch of {self._name}").random() < 0.5

    def snapshot(self, *, timeout_s: float, max_age_s: float = 0.0) -> Snapshot:
        """Read everything, or recall what was read last: as old as it may be, and without what nobody is woken by."""
        sent_at, kept = self._clock.now(), self._kept
        if kept is not None and sent_at - kept.sent_at <= max_age_s:
            return kept
        self._kept = self._picture(sent_at, self._wire.call(timeout_s, self._contents))
        return self._kept

    def acquire(self, request: AcquireRequest, *, timeout_s: float) -> Acquired | Refused:
        """Take the lock."""
        sent_at, true_sent_at = self._clock.now(), self._engine.now
        self._kept = None
        lock = self._wire.call(timeout_s, lambda: self._store.acquire(self._member, request, self._name))
        if lock is None:
            return Refused()
        self._leases.told(TrueLease(lock=lock, sent_at=true_sent_at, ttl_s=request.ttl_s))
        return Acquired(lock=lock, sent_at=sent_at)

    def renew(self, request: RenewRequest, *, timeout_s: float) -> Renewed | Refused:
        """Prolong the lock."""
        sent_at, true_sent_at = self._clock.now(), self._engine.now

        def work() -> _Contents | None:
            return self._contents() if self._store.renew(self._member, request, self._name) else None

        self._kept = None
        contents = self._wire.call(timeout_s, work)
        if contents is None:
            return Refused(holder=self._holder())
        self._leases.told(TrueLease(lock=request.lock, sent_at=true_sent_at, ttl_s=request.ttl_s))
        return Renewed(sent_at=sent_at, snapshot=self._picture(sent_at, contents))

    def release(self, request: ReleaseRequest, *, timeout_s: float) -> Written | Refused:
        """Give the lock back."""
        self._kept = None
        versions = self._wire.call(timeout_s, lambda: self._store.release(self._member, request))
        return Refused(holder=self._holder()) if versions is None else Written(versions=versions)

    def write(self, request: WriteRequest, *, timeout_s: float) -> Written | Refused:
        """Write by comparison."""
        self._kept = None
        versions = self._wire.call(timeout_s, lambda: self._store.write(self._member, request))
        return Refused(holder=self._holder()) if versions is None else Written(versions=versions)

    def publish(self, value: str, *, ttl_s: float, timeout_s: float) -> None:
        """Write this member's record."""
        self._wire.call(timeout_s, lambda: self._store.publish(self._member, value, ttl_s, self._name))

    def withdraw(self, *, timeout_s: float) -> None:
        """Remove this member's record."""
        self._kept = None
        self._wire.call(timeout_s, lambda: self._store.withdraw(self._member))

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` after changes."""

        def told() -> None:
            if self._heeds_watch:
                self._kept = None
            wake()

        self._wire.watch(told)

    def close(self) -> None:
        """End the session."""
        self._wire.close()

    def _contents(self) -> "_Contents":
        store = self._store
        return _Contents(
            revision=store.revision,
            lock=store.lock,
            records=[(name, one.value, one.version) for name, one in store.records.items()],
            members=[(name, one.value, one.version) for name, one in store.members.items()],
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
