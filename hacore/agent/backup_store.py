"""The record ``backup`` in the store, changed by comparison from threads other than the loop's."""

from collections.abc import Callable
from typing import Final

from hacore.agent.desk import Desk
from hacore.errors import DcsUnavailableError, HacoreError
from hacore.interfaces import Dcs, Put, Refused, WriteRequest
from hacore.model.backups import BackupRecord
from hacore.model.clock import Clock
from hacore.model.cluster import ClusterView
from hacore.model.world import World
from hacore.records import names
from hacore.records.backups import backups_json
from hacore.records.cluster import read_cluster

_CALL_S: Final = 5.0
_SHORTEST_S: Final = 0.05
_ATTEMPTS: Final = 3

Change = Callable[[BackupRecord, ClusterView], BackupRecord | None]


class BackupRecordError(HacoreError):
    """The record is there and cannot be understood: a person must look."""


class BackupStore:
    """Every change is decided on a fresh reading."""

    def __init__(self, desk: Desk, clock: Clock) -> None:
        self._desk, self._clock = desk, clock

    def change(self, change: Change, *, as_leader: bool = False) -> BackupRecord | None:
        """Write what ``change`` makes of the record as it stands; return it, ``None`` where ``change`` wants nothing written.

        :param as_leader: only while this node's lease is held: the store compares its lock instance.
        :raises BackupRecordError: the record is broken.
        :raises DcsUnavailableError: whether it was written is not known.
        """
        return self._desk.call(lambda dcs, world: self._change(dcs, world, change, as_leader=as_leader), _CALL_S)

    def read(self) -> BackupRecord:
        """Return the record as it stands.

        :raises BackupRecordError: it is broken.
        :raises DcsUnavailableError: the store did not answer.
        """
        return self._desk.call(lambda dcs, world: _record(read_cluster(dcs.snapshot(timeout_s=self._budget_s(world)))), _CALL_S)

    def _change(self, dcs: Dcs, world: World, change: Change, *, as_leader: bool) -> BackupRecord | None:
        lock = world.lease.lock if world.lease is not None else None
        if as_leader and lock is None:
            return None
        for _ in range(_ATTEMPTS):
            snapshot = dcs.snapshot(timeout_s=self._budget_s(world))
            view, found = read_cluster(snapshot), snapshot.records.get(names.BACKUP)
            before = _record(view)
            after = change(before, view)
            if after is None or after == before:
                return None
            put = Put(
                name=names.BACKUP,
                value=backups_json(after, found.value if found else None),
                expected=found.version if found else 0,
            )
            request = WriteRequest(puts=(put,), lock=lock if as_leader else None)
            if not isinstance(dcs.write(request, timeout_s=self._budget_s(world)), Refused):
                return after
        raise DcsUnavailableError(f"the record {names.BACKUP} was changed by others {_ATTEMPTS} times, or this node leads no more")

    def _budget_s(self, world: World) -> float:
        """The loop's thread does it: the next renewal must not come too late."""
        limit_s = min(_CALL_S, world.times.retry_timeout_s)
        if world.lease is None:
            return limit_s
        return max(_SHORTEST_S, min(limit_s, (world.lease.fence_at - self._clock.now()) / 4))


def _record(view: ClusterView) -> BackupRecord:
    if names.BACKUP in view.broken:
        raise BackupRecordError(f"the record {names.BACKUP} in the store cannot be read: remove it when no backup runs")
    return view.backups or BackupRecord()
