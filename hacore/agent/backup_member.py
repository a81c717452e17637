"""The tasks that this node is given: taken by comparison, carried out in a thread of their own, told of in the store while they last."""

from dataclasses import replace
from typing import Final

from hacore.agent.backup_ended import Ended
from hacore.agent.backup_flight import Flight
from hacore.agent.backup_store import BackupStore
from hacore.agent.backup_tool import BackupTool
from hacore.backup.leading import LOST_S, abandoned
from hacore.errors import DcsUnavailableError
from hacore.model.backups import BackupRecord, BackupTask
from hacore.model.clock import Clock, Instant
from hacore.model.cluster import ClusterView
from hacore.model.world import World
from hacore.postgres.job import JobHandle

_BEAT_S: Final = 5.0


class BackupMember:
    """Not thread-safe but for :meth:`close`."""

    def __init__(self, *, store: BackupStore, tool: BackupTool, clock: Clock) -> None:
        self._store, self._tool, self._clock = store, tool, clock
        self._flight: Flight | None = None
        self._is_reported = False
        self._beat_at: Instant = 0.0  # when the store last took a beat of the flight

    @property
    def is_busy(self) -> bool:
        """Tell whether work is in flight."""
        return self._flight is not None

    def close(self) -> None:
        """Cancel what goes on: the agent ends."""
        flight = self._flight
        if flight is not None:
            flight.cancel("the agent ends")

    def turn(self, world: World) -> None:
        """Look at the store and at the work in flight.

        :raises HacoreError: the record could not be read or changed; the next turn tries again.
        """
        if self._flight is not None:
            self._tend(self._flight)
            return
        record = world.cluster.backups if world.cluster is not None else None
        task = record.task if record is not None else None
        if task is None or task.member != world.me.name or task.made is not None or self._tool.name is None:
            return
        if task.taken:
            self._fail_lost(task)
        else:
            self._take(task)

    def _take(self, seen: BackupTask) -> None:
        def taken(record: BackupRecord, view: ClusterView) -> BackupRecord | None:
            task = record.task
            if task is None or (task.id, task.member, task.taken) != (seen.id, seen.member, False):
                return None
            if view.own is None or task.token != view.own.token:
                return None  # of a leader before this one, which passes it on
            return replace(record, task=replace(task, taken=True, beat=task.beat + 1))

        written = self._store.change(taken)
        if written is not None and written.task is not None:
            self._beat_at, self._is_reported = self._clock.now(), False
            limit_s = self._tool.settings.backup.max_duration_s
            self._flight = Flight(written.task, self._carry_out, self._clock, limit_s)
            self._flight.start()

    def _carry_out(self, task: BackupTask, job: JobHandle) -> Ended:
        return self._tool.carry_out(task, job)

    def _fail_lost(self, seen: BackupTask) -> None:
        """A task stands as taken by this node, and is not in flight here: the agent was started again meanwhile."""

        def failed(record: BackupRecord, _: ClusterView) -> BackupRecord | None:
            if record.task is None or record.task.id != seen.id or not record.task.taken or record.task.made is not None:
                return None  # what was seen was older than what this node has reported since
            return abandoned(record, now=self._clock.wall(), error="the agent was started again meanwhile")

        self._store.change(failed)

    def _tend(self, flight: Flight) -> None:
        result, now = flight.look(), self._clock.now()
        if result is None:
            if now - self._beat_at >= _BEAT_S:
                self._beat(flight, now)
            return
        if not self._is_reported:
            self._store.change(lambda record, _: record.reported(result) if record.task and record.task.id == flight.task.id else None)
            self._is_reported = True
        if flight.is_over:  # else the plugin has not come back: this node takes nothing else
            self._flight = None

    def _beat(self, flight: Flight, now: Instant) -> None:
        def moved(record: BackupRecord, _: ClusterView) -> BackupRecord | None:
            task = record.task
            if task is None or (task.id, task.member) != (flight.task.id, flight.task.member):
                flight.cancel("it was cancelled, or given to another member")
                return None
            return replace(record, task=replace(task, beat=task.beat + 1, progress=flight.progress))

        try:
            self._store.change(moved)
            self._beat_at = now
        except DcsUnavailableError:
            if now - self._beat_at > LOST_S:
                flight.cancel(f"the store was not reached for {LOST_S:g} s: another member may have begun")
            raise
