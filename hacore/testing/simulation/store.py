"""The store itself: a linearizable machine with one lock, records with revisions and transactions. It knows no rule under test.

Expiry is by true time, counted from when a request takes effect. It can be out of order, lose the lock early, lose keys, be wiped, or
be restored from an older state: that is what stores do.
"""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hacore.interfaces import AcquireRequest, Put, ReleaseRequest, RenewRequest, WriteRequest
from hacore.model.lease import Lock
from hacore.testing.simulation.engine import Engine


@dataclass(slots=True)
class StoredRecord:
    """One text with its revision."""

    value: str
    version: int


@dataclass(slots=True)
class StoredMember:
    """A member's record, which ends with its owner."""

    value: str
    version: int
    ends_at: float


@dataclass(slots=True)
class Contents:
    """Everything that a store holds: what a backup would save."""

    lock: Lock | None = None
    lock_ends_at: float = 0.0
    records: dict[str, StoredRecord] = field(default_factory=dict)
    members: dict[str, StoredMember] = field(default_factory=dict)
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One write that took effect, for those who judge."""

    at: float
    by: str  # member
    kind: str  # acquire, renew, release, write, publish, withdraw, fault
    lock_before: Lock | None
    lock: Lock | None
    puts: tuple[Put, ...] = ()
    under_lock: bool = False
    before: tuple[str | None, ...] = ()  # values that the puts replaced


class Records:
    """The one true state, and what sessions may ask of it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._contents = Contents()
        self._saved = Contents()
        self._expiry_number = 0
        self._lock_session = ""
        self.hangs_on_session = False  # whatever keeps the holder's session alive keeps its lock (etcd: one lease for all of its keys)
        self.is_available = True
        self.on_change: list[Callable[[Change], None]] = []
        self._watchers: dict[str, Callable[[], None]] = {}

    # --- what sessions ask --------------------------------------------------------------------------------------------

    @property
    def lock(self) -> Lock | None:
        """Return the lock as it stands now."""
        contents = self._contents
        return contents.lock if contents.lock is not None and self._engine.now < contents.lock_ends_at else None

    @property
    def revision(self) -> int:
        """Return the revision of the whole store."""
        return self._contents.revision

    @property
    def records(self) -> dict[str, StoredRecord]:
        """Return all records."""
        return self._contents.records

    def value(self, name: str) -> str | None:
        """Return one record's text."""
        record = self._contents.records.get(name)
        return record.value if record else None

    @property
    def members(self) -> dict[str, StoredMember]:
        """Return the records of living members."""
        return {name: member for name, member in self._contents.members.items() if member.ends_at > self._engine.now}

    def acquire(self, member: str, request: AcquireRequest, session: str = "") -> Lock | None:
        """Take the lock, or refuse."""
        standing = self.lock
        if standing is not None and standing != request.replaces:
            return None
        if not self._compare(request.puts):
            return None
        contents = self._contents
        self._lock_session = session
        contents.lock = Lock(holder=member, instance=str(contents.revision + 1))
        contents.lock_ends_at = self._engine.now + request.ttl_s
        self._keep(member, request.ttl_s)
        self._wake_at_expiry()
        self._apply("acquire", member, standing, request.puts, under_lock=True)
        return contents.lock

    def renew(self, member: str, request: RenewRequest, session: str = "") -> bool:
        """Prolong the lock, or refuse."""
        if self.lock != request.lock or request.lock.holder != member or not self._compare(request.puts):
            return False
        self._contents.lock_ends_at = self._engine.now + request.ttl_s
        self._lock_session = session
        self._keep(member, request.ttl_s)
        self._apply("renew", member, self.lock, request.puts, under_lock=True)
        return True

    def release(self, member: str, request: ReleaseRequest) -> tuple[int, ...] | None:
        """Give the lock back, or refuse."""
        standing = self.lock
        if standing != request.lock or not self._compare(request.puts):
            return None
        self._contents.lock = None
        return self._apply("release", member, standing, request.puts, under_lock=True)

    def write(self, member: str, request: WriteRequest) -> tuple[int, ...] | None:
        """Write by comparison, or refuse."""
        if request.lock is not None and self.lock != request.lock:
            return None
        if not self._compare(request.puts):
            return None
        return self._apply("write", member, self.lock, request.puts, under_lock=request.lock is not None)

    def publish(self, member: str, value: str, ttl_s: float, session: str = "") -> None:
        """Write or keep a member's record."""
        contents = self._contents
        lock = self.lock
        if self.hangs_on_session and lock is not None and lock.holder == member and session == self._lock_session:
            contents.lock_ends_at = max(contents.lock_ends_at, self._engine.now + ttl_s)
        known = self.members.get(member)
        if known is None or known.value != value:
            contents.revision += 1
            contents.members[member] = StoredMember(value, contents.revision, self._engine.now + ttl_s)
            self._tell("publish", member, self.lock)
        else:
            known.ends_at = self._engine.now + ttl_s

    def withdraw(self, member: str) -> None:
        """Remove a member's record."""
        if self._contents.members.pop(member, None) is not None:
            self._contents.revision += 1
            self._tell("withdraw", member, self.lock)

    def watch(self, member: str, notice: Callable[[], None] | None) -> None:
        """Tell a session of changes; ``None`` ends that."""
        if notice is None:
            self._watchers.pop(member, None)
        else:
            self._watchers[member] = notice

    # --- inside -------------------------------------------------------------------------------------------------------

    def _compare(self, puts: tuple[Put, ...]) -> bool:
        records = self._contents.records
        for put in puts:
            standing = records[put.name].version if put.name in records else 0
            if put.expected is not None and put.expected != standing:
                return False
        return True

    def _apply(self, kind: str, member: str, lock_before: Lock | None, puts: tuple[Put, ...], *, under_lock: bool) -> tuple[int, ...]:
        contents = self._contents
        contents.revision += 1
        versions, before = [], []
        for put in puts:
            before.append(self.value(put.name))
            if put.value is None:
                contents.records.pop(put.name, None)
                versions.append(0)
            else:
                contents.records[put.name] = StoredRecord(put.value, contents.revision)
                versions.append(contents.revision)
        self._tell(kind, member, lock_before, puts, tuple(before), under_lock=under_lock)
        return tuple(versions)

    def _keep(self, member: str, ttl_s: float) -> None:
        record = self._contents.members.get(member)
        if record is not None and record.ends_at > self._engine.now:
            record.ends_at = self._engine.now + ttl_s

    def _tell(
        self,
        kind: str,
        member: str,
        lock_before: Lock | None,
        puts: tuple[Put, ...] = (),
        before: tuple[str | None, ...] = (),
        *,
        under_lock: bool = False,
    ) -> None:
        change = Change(
            at=self._engine.now,
            by=member,
            kind=kind,
            lock_before=lock_before,
            lock=self.lock,
            puts=puts,
            under_lock=under_lock,
            before=before,
        )
        for judge in self.on_change:
            judge(change)
        watched = {put.name for put in puts} & {"config", "failover", "status"}
        if change.lock != lock_before or watched or kind == "fault":
            self._notify()

    def _notify(self) -> None:
        for notice in list(self._watchers.values()):
            notice()

    def _wake_at_expiry(self) -> None:
        self._expiry_number += 1
        number = self._expiry_number
        self._engine.at(self._contents.lock_ends_at, lambda: self._look_at_expiry(number))

    def _look_at_expiry(self, number: int) -> None:
        contents = self._contents
        if number != self._expiry_number or contents.lock is None:
            return
        if self._engine.now < contents.lock_ends_at:
            self._engine.at(contents.lock_ends_at, lambda: self._look_at_expiry(number))
            return
        expired, contents.lock = contents.lock, None
        contents.revision += 1
        self._tell("expiry", "", expired)


class Store(Records):
    """A store, and what goes wrong with stores."""

    def lose_lock(self) -> None:
        """Give the lock away before its time: a key deleted by hand, a session killed."""
        standing = self.lock
        if standing is not None:
            self._contents.lock = None
            self._contents.revision += 1
            self._tell("fault", "", standing)

    def begin_leases_anew(self, ttl_s: float) -> None:
        """Let every lease last its whole time again, as etcd does when its own leader changes."""
        contents, now = self._contents, self._engine.now
        if self.lock is not None:
            contents.lock_ends_at = max(contents.lock_ends_at, now + ttl_s)
        for member in self.members.values():
            member.ends_at = max(member.ends_at, now + ttl_s)

    def lose_keys(self, names: Iterable[str] | None = None) -> None:
        """Lose records, with ``None`` all of them and the lock and members."""
        standing, contents = self.lock, self._contents
        contents.revision += 1
        if names is None:
            contents.records.clear()
            contents.members.clear()
            contents.lock = None
        else:
            for name in names:
                contents.records.pop(name, None)
        self._tell("fault", "", standing)

    def lose_members(self) -> None:
        """Lose the members' records: their leases were killed."""
        self._contents.members.clear()
        self._contents.revision += 1
        self._tell("fault", "", self.lock)

    def save(self) -> None:
        """Take a backup."""
        self._saved = copy.deepcopy(self._contents)

    def restore(self, *, lock_s: float = 0.0) -> None:
        """Go back to the last backup, whose lock stands for so long; revisions start anew, higher, as a restore does with a bump."""
        standing, revision = self.lock, self._contents.revision
        self._contents = copy.deepcopy(self._saved)
        self._contents.lock_ends_at = self._engine.now + lock_s
        if lock_s <= 0:
            self._contents.lock = None
        self._contents.members.clear()
        self._contents.revision = revision + 1000
        self._wake_at_expiry()
        self._tell("fault", "", standing)
