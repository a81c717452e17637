"""The lease of this node: taking it, renewing it with the own record, giving it back (safety.md 3 and 5).

While the lease is held nobody else writes the own record, so the keeper's copy is the one that counts. An answer that was lost leaves
the copy as it was: the next renewal writes it again.
"""

from dataclasses import replace
from typing import Final

from hacore.act.leader_puts import Seen, final_status_put, own_put, status_puts
from hacore.act.remembered import Remembered
from hacore.errors import DataDirectoryError, DcsUnavailableError
from hacore.interfaces import AcquireRequest, Put, Refused, ReleaseRequest, Renewed, RenewRequest, Snapshot, WriteRequest, Written
from hacore.model.clock import Instant
from hacore.model.cluster import ClusterView, OwnRecord
from hacore.model.lease import Lease, Lock
from hacore.model.lsn import Lsn
from hacore.model.memory import without_adoption
from hacore.model.node import NodeState
from hacore.model.policy import Policy, Times
from hacore.model.steps import AcquireLease, PutRecord
from hacore.ports import Ports

_MIN_CALL_S: Final = 0.05


class LeaseKeeper:
    """Holds the lease. Not thread-safe: used by the loop alone."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._name = ports.settings.me().name
        self.lease: Lease | None = None
        self.turn_ends_at: Instant = float("inf")  # one turn has one deadline (safety.md 3.5)
        self.remembered = Remembered(ports.disk, ports.boot_id)
        self.attempted_token: int | None = None  # of an acquisition whose answer was lost: it may have taken effect
        self._own: OwnRecord | None = None
        self._seen = Seen()

    @property
    def noted_unfenced(self) -> bool:
        """Tell whether the own record, of which this copy counts while the lease is held, names this node as not fenced."""
        return self.lease is not None and self._own is not None and self._own.unfenced == self._name

    def drop(self) -> None:
        """Forget the lease: it has ended, was refused, or the guard has fired under it."""
        self.lease = None
        self._own = None

    def saw(self, snapshot: Snapshot, view: ClusterView) -> None:
        """Keep the records, so that what they say besides outlives a rewriting."""
        texts = {name: record.value for name, record in snapshot.records.items()}
        self._seen = Seen(own=view.own, status=view.status, texts=texts)
        if self.attempted_token is not None and view.own is not None and _is_overtaken(view.own, self.attempted_token, name=self._name):
            self.attempted_token = None

    def budget_s(self, wanted_s: float) -> float:
        """Return how long a call may take: never beyond what is left of the turn, nor until F - D."""
        ends_at = self.turn_ends_at if self.lease is None else min(self.turn_ends_at, self.lease.fence_at)
        return max(_MIN_CALL_S, min(wanted_s, ends_at - self._ports.clock.now()))

    def acquire(self, step: AcquireLease, *, times: Times, policy: Policy, node: NodeState) -> bool:
        """Take the lock, note the token on the disk and arm the guard. ``False``: definitely refused.

        :raises DataDirectoryError: the disk takes no token; the lock was not asked for, or is given back.
        """
        self.remembered.prove()
        own = step.own if step.own.store_id else replace(step.own, store_id=self._ports.new_id())
        puts = (own_put(own, self._seen, step.own_version), *(_put(put) for put in step.puts))
        request = AcquireRequest(ttl_s=times.ttl_s, puts=puts, replaces=step.replaces)
        unanswered, self.attempted_token = self.attempted_token, own.token
        answer = self._ports.dcs.acquire(request, timeout_s=self.budget_s(times.retry_timeout_s))
        if isinstance(answer, Refused):
            self.attempted_token = unanswered  # by which it may be this node's own earlier request that stands in the way
            return False
        self._hold(_lease(answer.lock, own.token, answer.sent_at, times.ttl_s, policy), own, times=times, node=node)
        return True

    def resume(self, lock: Lock, token: int, *, times: Times, policy: Policy, node: NodeState) -> bool:
        """Go on with a lock that this node held before its agent was started again, or took by a request whose answer was lost."""
        own = self._seen.own
        if own is None or own.token != token or own.holder != self._name:
            return False
        self.lease = Lease(lock=lock, token=token, sent_at=self._ports.clock.now(), ttl_s=own.ttl_s, margin_s=0, budget_s=0)
        self._own = own
        try:
            snapshot = self.renew(node=node, times=times, policy=policy)
        except DcsUnavailableError:
            self.drop()
            raise
        if snapshot is None:
            return False
        self._hold(self.lease, self._own, times=times, node=node)
        return True

    def arm(self) -> None:
        """Arm the guard under the lease that is held."""
        if self.lease is not None:
            self._ports.fence.arm(token=self.lease.token, fence_at=self.lease.fence_at, budget_s=self.lease.budget_s)

    def renew(self, *, node: NodeState, times: Times, policy: Policy) -> Snapshot | None:
        """Renew the lock with a new heartbeat and this primary's position; ``None``: it is definitely lost.

        A change of ttl: what is published is never shorter than what is in force here (safety.md 3.8).
        """
        lease, before = self.lease, self._own
        if lease is None or before is None:
            return None
        is_restoring = before.restore is not None and before.restore.is_active  # what it runs on may be given up again
        is_known = node.is_primary and node.timeline is not None and not is_restoring
        published_s = max(lease.ttl_s, times.ttl_s)
        in_force_s = min(before.ttl_s, times.ttl_s)
        own = replace(
            before,
            heartbeat=before.heartbeat + 1,
            instance=lease.lock.instance,
            ttl_s=published_s,
            timeline=node.timeline if is_known else before.timeline,
            parent=node.parent if is_known else before.parent,
            times=(times.ttl_s, times.loop_wait_s, times.retry_timeout_s),
            known_members=tuple(sorted({*before.known_members, *self.remembered.memory.members})),
        )
        request = RenewRequest(
            lock=lease.lock, ttl_s=published_s, puts=(own_put(own, self._seen), *status_puts(node, self._seen, self._name))
        )
        answer = self._ports.dcs.renew(request, timeout_s=self.budget_s(times.retry_timeout_s))
        if isinstance(answer, Refused):
            self.drop()
            return None
        self._renewed(answer, own, in_force_s, policy)
        return answer.snapshot

    def release(self, *, clean: bool, optime: Lsn | None, timeout_s: float, lock: Lock | None = None) -> None:
        """Give the lock back, with a clean mark where writes have provably ended."""
        held = self.lease.lock if self.lease else lock
        own = self._own or self._seen.own
        if held is None or own is None:
            return
        if clean:
            unfenced = None if own.unfenced == self._name else own.unfenced
            own = replace(own, clean=held.instance, instance=held.instance, heartbeat=own.heartbeat + 1, unfenced=unfenced)
        puts = [own_put(own, self._seen)]
        if optime is not None:
            puts.append(final_status_put(optime, self._seen))
        self._ports.dcs.release(ReleaseRequest(lock=held, puts=tuple(puts)), timeout_s=self.budget_s(timeout_s))
        self.drop()

    def write_own(self, own: OwnRecord, *, timeout_s: float) -> bool:
        """Write the own record under the lock."""
        return self._write((own_put(own, self._seen),), timeout_s=timeout_s, own=own)

    def write(self, step: PutRecord, *, timeout_s: float) -> bool:
        """Write one of the field's records by comparison."""
        if step.under_lock:
            return self._write((_put(step),), timeout_s=timeout_s)
        answer = self._ports.dcs.write(WriteRequest(puts=(_put(step),)), timeout_s=self.budget_s(timeout_s))
        return isinstance(answer, Written)

    def _write(self, puts: tuple[Put, ...], *, timeout_s: float, own: OwnRecord | None = None) -> bool:
        if self.lease is None:
            return False
        answer = self._ports.dcs.write(WriteRequest(puts=puts, lock=self.lease.lock), timeout_s=self.budget_s(timeout_s))
        if isinstance(answer, Refused):
            return False
        self._own = own or self._own
        return True

    def _hold(self, lease: Lease, own: OwnRecord, *, times: Times, node: NodeState) -> None:
        """The disk first, then the guard, then the lease: nothing that enables writes rests on less."""
        try:
            self._remember(lease, own)
        except DataDirectoryError:
            self._give_back(lease, own, times=times, node=node)
            raise
        self.attempted_token = None
        self._own = own
        self.lease = lease
        self._ports.fence.arm(token=own.token, fence_at=lease.fence_at, budget_s=lease.budget_s)

    def _remember(self, lease: Lease, own: OwnRecord) -> None:
        memory, token = without_adoption(self.remembered.memory), own.token
        memory = replace(memory, store_id=own.store_id, token=token, held_token=token, held_instance=lease.lock.instance)
        self.remembered.store_holding(memory)

    def _give_back(self, lease: Lease, own: OwnRecord, *, times: Times, node: NodeState) -> None:
        """Nothing was done under it. Until the store has said that it is back the attempt stands, so that the next turn tries again."""
        self._own, self.lease, self.attempted_token = own, None, own.token
        try:
            self.release(clean=node.cannot_write, optime=None, timeout_s=times.retry_timeout_s, lock=lease.lock)
        finally:
            self.drop()
        self.attempted_token = None

    def _renewed(self, answer: Renewed, own: OwnRecord, ttl_s: float, policy: Policy) -> None:
        if self.lease is None:
            return
        self.lease = _lease(self.lease.lock, own.token, answer.sent_at, ttl_s, policy)
        self._own = own
        self._ports.fence.extend(self.lease.fence_at)


def _lease(lock: Lock, token: int, sent_at: Instant, ttl_s: float, policy: Policy) -> Lease:
    return Lease(lock=lock, token=token, sent_at=sent_at, ttl_s=ttl_s, margin_s=policy.margin(ttl_s), budget_s=policy.budget(ttl_s))


def _is_overtaken(own: OwnRecord, attempted: int, *, name: str) -> bool:
    """Tell whether an acquisition whose answer was lost cannot take effect any more: what it compared has changed since."""
    return own.token > attempted or (own.token == attempted and own.holder != name)


def _put(step: PutRecord) -> Put:
    return Put(name=step.name, value=step.value, expected=step.expected)
