"""The lease of this node: taking it, renewing it with the own record, giving it back (safety.md 3 and 5).

While the lease is held nobody else writes the own record, so the keeper's copy is the one that counts. An answer that was lost leaves
the copy as it was: the next renewal writes it again.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from hacore.errors import DataDirectoryError
from hacore.interfaces import AcquireRequest, Put, Refused, ReleaseRequest, Renewed, RenewRequest, Snapshot, WriteRequest, Written
from hacore.model.clock import Instant
from hacore.model.cluster import OwnRecord, Status
from hacore.model.lease import Lease, Lock
from hacore.model.lsn import Lsn
from hacore.model.memory import Memory
from hacore.model.node import NodeState
from hacore.model.policy import Policy, Times
from hacore.model.slots import slot_name
from hacore.model.steps import AcquireLease, PutRecord
from hacore.ports import Ports
from hacore.records import names
from hacore.records.own import own_json, read_own
from hacore.records.status import read_status, status_json

logger: Final = logging.getLogger(__name__)

_MIN_CALL_S: Final = 0.05


class LeaseKeeper:
    """Holds the lease. Not thread-safe: used by the loop alone."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._name = ports.settings.me().name
        self.lease: Lease | None = None
        self.turn_ends_at: Instant = float("inf")  # one turn has one deadline (safety.md 3.5)
        self.memory: Memory = ports.disk.load()
        self._stored = self.memory
        self.attempted_token: int | None = None  # of an acquisition whose answer was lost: it may have taken effect
        self._own: OwnRecord | None = None
        self._texts: Mapping[str, str] = {}

    def drop(self) -> None:
        """Forget the lease: it has ended, was refused, or the guard has fired under it."""
        self.lease = None
        self._own = None

    def remember(self, memory: Memory) -> None:
        """Write the memory to the disk where it has changed.

        :raises DataDirectoryError: the disk did not take it; what rests on it must not be done.
        """
        if memory != self._stored:
            self._ports.disk.store(memory)
            self._stored = memory
        self.memory = memory

    def note(self, memory: Memory) -> None:
        """Remember what was merely seen: a disk that is full does not stop the loop, it is tried again with the next turn."""
        try:
            self.remember(memory)
        except DataDirectoryError as error:
            logger.error("memory was not written", extra={"error": str(error)})  # noqa: TRY400 - the disk's fault, not ours
            self.memory = memory

    def saw(self, snapshot: Snapshot) -> None:
        """Keep the texts of records, so that unknown fields outlive a rewriting."""
        self._texts = {name: record.value for name, record in snapshot.records.items()}

    def budget_s(self, wanted_s: float) -> float:
        """Return how long a call may take: never beyond what is left of the turn, nor until F - D."""
        ends_at = self.turn_ends_at if self.lease is None else min(self.turn_ends_at, self.lease.fence_at)
        return max(_MIN_CALL_S, min(wanted_s, ends_at - self._ports.clock.now()))

    def acquire(self, step: AcquireLease, *, times: Times, policy: Policy) -> bool:
        """Take the lock, note the token on the disk and arm the guard. ``False``: definitely refused."""
        own = step.own if step.own.store_id else replace(step.own, store_id=self._ports.new_id())
        puts = (self._own_put(own, step.own_version), *(_put(put) for put in step.puts))
        request = AcquireRequest(ttl_s=times.ttl_s, puts=puts, replaces=step.replaces)
        self.attempted_token = own.token
        answer = self._ports.dcs.acquire(request, timeout_s=self.budget_s(times.retry_timeout_s))
        self.attempted_token = None
        if isinstance(answer, Refused):
            return False
        lease = _lease(answer.lock, own.token, answer.sent_at, times.ttl_s, policy)
        self._hold(lease, own)
        return True

    def resume(self, lock: Lock, token: int, *, times: Times, policy: Policy, node: NodeState) -> bool:
        """Go on with a lock that this node held before its agent was started again, or took by a request whose answer was lost."""
        text = self._texts.get(names.OWN)
        if text is None:
            return False
        own = read_own(text)
        if own.token != token or own.holder != self._name:
            return False
        self.lease = Lease(lock=lock, token=token, sent_at=self._ports.clock.now(), ttl_s=own.ttl_s, margin_s=0, budget_s=0)
        self._own = own
        if self.renew(node=node, times=times, policy=policy) is None:
            return False
        self._hold(self.lease, self._own)
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
        published_s = max(lease.ttl_s, times.ttl_s)
        in_force_s = min(before.ttl_s, times.ttl_s)
        own = replace(
            before,
            heartbeat=before.heartbeat + 1,
            instance=lease.lock.instance,
            ttl_s=published_s,
            timeline=node.timeline if node.is_primary and node.timeline else before.timeline,
            parent=_parent_of(node) if node.is_primary and node.timeline else before.parent,
            times=(times.ttl_s, times.loop_wait_s, times.retry_timeout_s),
            known_members=tuple(sorted({*before.known_members, *self.memory.members})),
        )
        request = RenewRequest(lock=lease.lock, ttl_s=published_s, puts=(self._own_put(own, None), *self._status_put(node)))
        answer = self._ports.dcs.renew(request, timeout_s=self.budget_s(times.retry_timeout_s))
        if isinstance(answer, Refused):
            self.drop()
            return None
        self._renewed(answer, own, in_force_s, policy)
        return answer.snapshot

    def release(self, *, clean: bool, optime: Lsn | None, timeout_s: float, lock: Lock | None = None) -> None:
        """Give the lock back, with a clean mark where writes have provably ended."""
        held = self.lease.lock if self.lease else lock
        text = self._texts.get(names.OWN)
        own = self._own or (read_own(text) if text else None)
        if held is None or own is None:
            return
        if clean:
            unfenced = None if own.unfenced == self._name else own.unfenced
            own = replace(own, clean=held.instance, instance=held.instance, heartbeat=own.heartbeat + 1, unfenced=unfenced)
        puts = [self._own_put(own, None)]
        if optime is not None:
            status = self._status()
            puts.append(Put(name=names.STATUS, value=status_json(replace(status, optime=optime), self._texts.get(names.STATUS))))
        self._ports.dcs.release(ReleaseRequest(lock=held, puts=tuple(puts)), timeout_s=self.budget_s(timeout_s))
        self.drop()

    def write_own(self, own: OwnRecord, *, timeout_s: float) -> bool:
        """Write the own record under the lock."""
        return self._write((self._own_put(own, None),), timeout_s=timeout_s, own=own)

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

    def _hold(self, lease: Lease, own: OwnRecord) -> None:
        """The disk first, then the guard, then the lease: nothing that enables writes rests on less."""
        self.remember(replace(self.memory, store_id=own.store_id, token=own.token, held_token=own.token, held_instance=lease.lock.instance))
        self._own = own
        self.lease = lease
        self._ports.fence.arm(token=own.token, fence_at=lease.fence_at, budget_s=lease.budget_s)

    def _renewed(self, answer: Renewed, own: OwnRecord, ttl_s: float, policy: Policy) -> None:
        if self.lease is None:
            return
        self.lease = _lease(self.lease.lock, own.token, answer.sent_at, ttl_s, policy)
        self._own = own
        self.saw(answer.snapshot)
        self._ports.fence.extend(self.lease.fence_at)

    def _own_put(self, own: OwnRecord, version: int | None) -> Put:
        return Put(name=names.OWN, value=own_json(own, self._texts.get(names.OWN)), expected=version)

    def _status(self) -> Status:
        text = self._texts.get(names.STATUS)
        return read_status(text) if text else Status()

    def _status_put(self, node: NodeState) -> tuple[Put, ...]:
        if not node.is_primary or node.flushed_lsn is None:
            return ()
        slots = {slot.name: slot.restart_lsn for slot in node.slots if slot.is_physical and slot.restart_lsn is not None}
        slots[slot_name(self._name)] = node.flushed_lsn
        status = replace(self._status(), optime=node.flushed_lsn, slots=tuple(sorted(slots.items())))
        text, before = status_json(status, self._texts.get(names.STATUS)), self._texts.get(names.STATUS)
        return () if text == before else (Put(name=names.STATUS, value=text),)


def _parent_of(node: NodeState) -> tuple[int, int] | None:
    """Return which timeline this primary's own one left, and where."""
    history = node.history
    if history is None or history.timeline != node.timeline or not history.switches:
        return None
    return history.switches[-1].timeline, int(history.switches[-1].switchpoint)


def _lease(lock: Lock, token: int, sent_at: Instant, ttl_s: float, policy: Policy) -> Lease:
    return Lease(lock=lock, token=token, sent_at=sent_at, ttl_s=ttl_s, margin_s=policy.margin(ttl_s), budget_s=policy.budget(ttl_s))


def _put(step: PutRecord) -> Put:
    return Put(name=step.name, value=step.value, expected=step.expected)
