"""A session with a store, and the values that pass between it and the core."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hacore.model.clock import Instant
from hacore.model.lease import Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One named text in the store."""

    value: str
    version: int  # grows with each write of this record; never 0, which stands for "absent"
    received_at: Instant  # when this session first received this version (boot-time seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All records of one cluster. Names are relative to the cluster: ``config``, ``hacore``, ...; members stand apart."""

    sent_at: Instant  # before the request was sent
    revision: int | None  # of the store as a whole; ``None`` where it has none
    lock: Lock | None  # present and not expired by the store's own rule (safety.md 3.9)
    records: Mapping[str, Record] = field(default_factory=dict)
    members: Mapping[str, Record] = field(default_factory=dict)  # by member name


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """One write inside a request."""

    name: str
    value: str | None  # ``None``: delete
    expected: int | None = None  # version that must stand; 0: absent; ``None``: no comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class AcquireRequest:
    """Take the lock if there is none (or ``replaces`` still stands), all ``puts`` compare equal; all in one transaction.

    Where a store has no transaction over the lock and records, it writes the records first (safety.md 5).
    """

    ttl_s: float
    puts: tuple[Put, ...] = ()
    replaces: Lock | None = None  # a held lock that may be replaced because its holder's record has not moved


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewRequest:
    """Prolong the lock and write ``puts``, in one transaction, if exactly ``lock`` is still held."""

    lock: Lock
    ttl_s: float
    puts: tuple[Put, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest:
    """Write ``puts`` and remove the lock, in one transaction, if exactly ``lock`` is still held."""

    lock: Lock
    puts: tuple[Put, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRequest:
    """Write ``puts`` in one transaction if all compare equal and, where given, exactly ``lock`` is held."""

    puts: tuple[Put, ...]
    lock: Lock | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquired:
    """The lock is this session's. Its time counts from ``sent_at``."""

    lock: Lock
    sent_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """The lock was prolonged. ``sent_at``: before the request; the older of the two where two calls are needed.

    ``snapshot`` shows the store with this renewal in it: a holder reads and renews with one request. Its ``members`` alone may be older by
    half of ``ttl_s`` at most, but for what this session wrote.
    """

    sent_at: Instant
    snapshot: Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A definite no: a comparison failed, or the lock is somebody else's. ``holder`` where the store says who."""

    holder: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The write took effect; versions of the records written, in the order of the request (0: deleted)."""

    versions: tuple[int, ...]


def _capability(meaning: str, *, default: Any) -> Any:  # noqa: ANN401 - a field of any type
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class DcsCapabilities:
    """What a store can do. ``hacore plugins show`` shows it, and the conformance kit holds the store to it."""

    snapshot_revision: bool = _capability("one revision counts the changes of all records", default=True)
    minimum_ttl_s: float = _capability("a shorter ttl is raised to this", default=1.0)
    ttl_is_minimum: bool = _capability("the store may keep an expired lock for longer", default=False)
    networked: bool = _capability("reached over a network, which delays, loses and repeats", default=True)
    transactions: tuple[tuple[str, ...], ...] = _capability(
        "records that change in one transaction, the first of these groups also with the lock; none named: all records do", default=()
    )


class Dcs(Protocol):
    """A session with a store: the node's lease, its member record and the records of its cluster.

    Called from one thread only. Every call ends within ``timeout_s``; an answer that comes later counts as not arrived.

    :raises DcsUnavailableError: from every call: no definite answer in time, the outcome of a write is unknown.
    """

    def snapshot(self, *, timeout_s: float, max_age_s: float = 0.0) -> Snapshot:
        """Read all records of the cluster. Linearizable: it shows every write that was answered before.

        With ``max_age_s`` a picture will do that the watch has kept since then: it shows every write that was answered before its
        ``sent_at``, which is not further back, and every write of this session. A store that keeps none, or is not sure, reads.
        """

    def acquire(self, request: AcquireRequest, *, timeout_s: float) -> Acquired | Refused:
        """Take the lock for this member."""

    def renew(self, request: RenewRequest, *, timeout_s: float) -> Renewed | Refused:
        """Prolong the lock that is held; ``Refused`` is a definite loss."""

    def release(self, request: ReleaseRequest, *, timeout_s: float) -> Written | Refused:
        """Give the lock back."""

    def write(self, request: WriteRequest, *, timeout_s: float) -> Written | Refused:
        """Write records by comparison."""

    def publish(self, value: str, *, ttl_s: float, timeout_s: float) -> None:
        """Write this member's record, which ends with its owner: half to a whole ``ttl_s`` after the last ``publish`` or ``renew``.

        Written only when it has changed; otherwise the call only keeps it alive, where half of its time has passed.
        """

    def withdraw(self, *, timeout_s: float) -> None:
        """Remove this member's record at an orderly end."""

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` soon after the lock, ``config`` or ``failover`` has changed, from a thread of the session.

        After a change of ``status`` too, unless this member leads: then it has written that itself.
        A watch that has gone silent is noticed by the session within its own bound and opened again, with one ``wake``.
        """

    def close(self) -> None:
        """End the session's threads and connections. A lock that is held stays until it expires."""
