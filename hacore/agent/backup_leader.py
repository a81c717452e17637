"""What this node does about the cluster's backups while it leads: begins what is due, passes on what nobody takes, counts out the dead."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from hacore.agent.backup_completion import BackupCompletion
from hacore.agent.backup_store import BackupStore
from hacore.agent.backup_tool import BackupTool
from hacore.backup import leading
from hacore.backup.leading import DEAD_S, TAKE_S, Wanted
from hacore.backup.policy import BackupPolicy, Prefer
from hacore.errors import HacoreError, JobCancelledError
from hacore.interfaces import Backup
from hacore.model.backups import BackupRecord, BackupTask, BackupWork
from hacore.model.clock import Clock, Instant
from hacore.model.cluster import ClusterView
from hacore.model.timeline import TimelineHistory
from hacore.model.world import World
from hacore.postgres.archive_look import history_from
from hacore.postgres.job import limited
from hacore.postgres.restore import why_not_aside

_LIST_S: Final = 300.0  # how old the leader's list may be
_RETRY_LIST_S: Final = 60.0
_HISTORY_S: Final = 5.0  # somebody waits for the answer, and a person's restore_command has no limit of its own

_Seen = tuple[str, str, int, bool]


class BackupRefusedError(HacoreError):
    """Nothing was begun; the message says why."""


class NowhereError(BackupRefusedError):
    """No member may do it now."""


class BackupLeader:
    """:meth:`begin`, :meth:`cancel` and :meth:`listed` may be called from any thread."""

    def __init__(
        self, *, store: BackupStore, tool: BackupTool, completion: BackupCompletion, clock: Clock, new_id: Callable[[], str]
    ) -> None:  # fmt: skip
        self._store, self._tool, self._completion, self._clock, self._new_id = store, tool, completion, clock, new_id
        self._unmoved: tuple[_Seen, Instant] | None = None  # a member's task as it was seen last, and since when
        self._listed: tuple[tuple[Backup, ...], Instant] | None = None
        self._list_at: Instant = 0.0  # not before

    def turn(self, world: World) -> None:
        """Look at the store, and at the tool's list.

        :raises HacoreError: something could not be found out or done; the next turn tries again.
        """
        if world.lease is None or not world.node.is_primary or world.cluster is None:
            self._unmoved, self._listed, self._list_at = None, None, 0.0
            return
        record = world.cluster.backups or BackupRecord()
        if record.task is not None:
            self._listed = None  # it changes what there is
            if record.task.made is None:
                self._watch(record.task)
            else:
                self._completion.turn(record.task, record.task.made, world.lease.token, world.node.history)
        elif self._tool.name is not None and not world.policy.pause:
            self._unmoved = None
            self._schedule(world, record)

    def begin(self, wanted: Wanted, *, prefer: Prefer | None = None, member: str | None = None) -> BackupTask:
        """Give work to a member, under the lease of this node.

        :raises BackupRefusedError: this node does not lead, other work goes on, or (:class:`NowhereError`) no member may work.
        :raises DcsUnavailableError: whether it begins is not known.
        """
        self._tool.plugin()
        work = replace(wanted, is_pinned=member is not None)
        preference = self._tool.settings.backup.prefer if prefer is None else prefer

        def begun(record: BackupRecord, view: ClusterView) -> BackupRecord:
            if view.own is None or view.lock is None:
                raise BackupRefusedError("nobody leads")
            if view.own.restore is not None and view.own.restore.is_active:
                raise BackupRefusedError(f"{view.own.restore.member} takes the cluster back to {view.own.restore.target}")
            if record.task is not None:
                raise BackupRefusedError(
                    f"{record.task.work} goes on on {record.task.member}: {record.task.progress or record.task.reason}"
                )
            chosen = _chosen(view, preference, member)
            return leading.begun(record, work, task_id=self._new_id(), member=chosen, token=view.own.token, now=self._clock.wall())

        written = self._store.change(begun, as_leader=True)
        if written is None or written.task is None:
            raise BackupRefusedError("this node does not lead")
        return written.task

    def cancel(self) -> BackupTask | None:
        """Take the work that goes on out of the store; whoever does it ends it. Return what it was."""
        found: list[BackupTask] = []

        def cancelled(record: BackupRecord, _: ClusterView) -> BackupRecord | None:
            if record.task is None:
                return None
            found[:] = [record.task]
            return leading.abandoned(record, now=self._clock.wall(), error="cancelled by a person", is_final=True)

        return found[0] if self._store.change(cancelled) is not None else None

    def record(self) -> BackupRecord:
        """Read what stands in the store afresh.

        :raises HacoreError: it could not be read.
        """
        return self._store.read()

    def why_not_aside(self) -> str | None:
        """Return why a restore could not keep the data directory of this node aside; ``None``: it can."""
        return why_not_aside(self._tool.instance)

    def listed(self) -> tuple[Backup, ...]:
        """Read the tool's list afresh.

        :raises PluginUnavailableError: it could not be read.
        """
        return self._tool.listed()

    def history_of(self, timeline: int) -> TimelineHistory | None:
        """Return the history of a timeline of this cluster, from this node or its archive; ``None``: neither has it, or does not answer."""
        with suppress(JobCancelledError), limited(_HISTORY_S, "the archive does not answer") as job:
            return history_from(self._tool.instance, job, timeline)
        return None

    def policy(self) -> BackupPolicy:
        """Return what the configuration says."""
        return self._tool.settings.backup

    def plugin(self) -> str | None:
        """Return the name of the configured plugin."""
        return self._tool.name

    def _watch(self, task: BackupTask) -> None:
        """Pass a task on that is not taken; count a member as dead whose task does not move any more."""
        now, seen = self._clock.now(), _identity(task)
        if self._unmoved is None or self._unmoved[0] != seen:
            self._unmoved = (seen, now)
            return
        unmoved_s = now - self._unmoved[1]
        if unmoved_s <= (DEAD_S if task.taken else TAKE_S):
            return

        def given_up(record: BackupRecord, view: ClusterView) -> BackupRecord | None:
            if record.task is None or _identity(record.task) != seen:
                return None
            if task.taken:
                error = f"{task.member} has not been heard of for {unmoved_s:.0f} s"
                return leading.abandoned(record, now=self._clock.wall(), error=error)
            token = view.own.token if view.own is not None else 0
            return leading.passed_on(record, view, self._tool.settings.backup.prefer, token=token, now=self._clock.wall())

        self._store.change(given_up, as_leader=True)

    def _schedule(self, world: World, record: BackupRecord) -> None:
        policy, system_id, history = self._tool.settings.backup, world.node.system_id, world.node.history
        now = self._clock.now()
        if self._listed is None or now - self._listed[1] > _LIST_S:
            if now >= self._list_at:
                self._list(record, world)
            return  # decided by the next turn, on what the store has then
        wanted = leading.due_work(record, policy, self._listed[0], now=self._clock.wall(), system_id=system_id, history=history)
        if wanted is None:
            return
        record, fresh = self._list(record, world)
        wanted = leading.due_work(record, policy, fresh, now=self._clock.wall(), system_id=system_id, history=history)
        if wanted is not None:
            anywhere = wanted.work is not BackupWork.BACKUP and policy.prefer is Prefer.STANDBY_ONLY
            try:
                self.begin(wanted, prefer=Prefer.STANDBY if anywhere else None)
            except NowhereError as error:
                self._note_unplaced(wanted, str(error))

    def _note_unplaced(self, wanted: Wanted, error: str) -> None:
        """Let it be told like any other failure, and wait like one: what else is due must not wait for a member that may be weeks away."""

        def unplaced(record: BackupRecord, view: ClusterView) -> BackupRecord | None:
            if view.own is None or view.lock is None or record.task is not None:
                return None
            now = self._clock.wall()
            task = leading.begun(record, wanted, task_id=self._new_id(), member=view.lock.holder, token=view.own.token, now=now)
            return leading.unplaced(task, now=now, error=error)

        self._store.change(unplaced, as_leader=True)

    def _list(self, record: BackupRecord, world: World) -> tuple[BackupRecord, Sequence[Backup]]:
        """List, and note in the store what everybody shows of it. What could not be read is no empty list: nothing is begun."""
        system_id = world.node.system_id
        self._list_at = self._clock.now() + _RETRY_LIST_S
        backups = self._tool.listed()
        self._listed, self._list_at = (backups, self._clock.now()), 0.0
        settled = self._completion.settled(record.doubts, backups, world.node.history)
        summed = leading.summed_up(record, backups, system_id, settled, now=self._clock.wall())

        def noted(now: BackupRecord, _: ClusterView) -> BackupRecord | None:
            # work that went on while the list was read may have made, checked or removed what is not in it: it is read again soon
            if (now.task, now.results) != (None, record.results):
                return None
            return leading.summed_up(now, backups, system_id, settled, now=self._clock.wall())

        if summed != record:
            self._store.change(noted, as_leader=True)
        return summed, backups


def _identity(task: BackupTask) -> _Seen:
    return task.id, task.member, task.beat, task.taken


def _chosen(view: ClusterView, prefer: Prefer, member: str | None) -> str:
    if member is not None:
        if member not in leading.places(view, Prefer.STANDBY):
            raise BackupRefusedError(f"{member} is neither the leader nor a standby that streams")
        return member
    able = leading.places(view, prefer)
    if not able:
        raise NowhereError("no standby streams, and standby_only is preferred" if prefer is Prefer.STANDBY_ONLY else "nobody leads")
    return able[0]
