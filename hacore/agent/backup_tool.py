"""The backup plugin of this node, called as its hooks say. It knows no store, no schedule and no thread."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from hacore.agent.backup_ended import Ended
from hacore.agent.desk import Desk
from hacore.agent.earlier_wal import has_all_of
from hacore.agent.settings import SettingsSource
from hacore.backup.choice import Chosen, age, leads_to, of_cluster, room_bytes
from hacore.backup.leading import kind_to_make
from hacore.errors import FoundBadError, HacoreError, JobCancelledError, PluginUnavailableError
from hacore.hookspecs import BackupRequest, BackupSite, ExpireBackups, PluginContext, VerifyBackup
from hacore.interfaces import Backup, BackupKind, BackupState, Expired, Failed, Verified
from hacore.model.backups import BackupRecord, BackupTask, BackupWork
from hacore.model.node import NodeState, ServerState
from hacore.model.timeline import TimelineHistory
from hacore.plugins.backup import list_backups
from hacore.plugins.registry import Plugin, Registry
from hacore.plugins.selection import backup_of
from hacore.postgres.instance import Instance
from hacore.postgres.job import JobHandle
from hacore.postgres.passfile import login, temporary_passfile
from hacore.postgres.tooling import backup_site


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupTool:
    """May be used from several threads."""

    registry: Registry
    settings: SettingsSource
    desk: Desk
    instance: Instance
    context: Callable[[], PluginContext]
    # says what was seen; raises FoundBadError, and HacoreError where it cannot
    verify_by_restore: Callable[[Plugin, Chosen, BackupSite, JobHandle], str] | None = None

    @property
    def name(self) -> str | None:
        """The name of the configured plugin."""
        return backup_of(self.settings.local)

    def plugin(self) -> Plugin:
        """Return the plugin.

        :raises PluginUnavailableError: none is configured.
        """
        name = self.name
        found = None if name is None else self.registry.get("backup", name)
        if found is None:
            raise PluginUnavailableError("no plugin for backups is configured on this node (backup.plugin)")
        return found

    def system_id(self) -> str | None:
        """Return the system identifier of this node's cluster."""
        latest = self.desk.latest()
        if latest is None:
            return None
        world = latest[0]
        return world.node.system_id or (world.cluster.initialize if world.cluster else None) or None

    def listed(self) -> tuple[Backup, ...]:
        """Return what the repository holds.

        :raises PluginUnavailableError: it could not be read: an error is no empty list.
        """
        return list_backups(self.plugin(), backup_site(self.instance, self.context(), system_id=self.system_id()))

    def known(self) -> tuple[Backup, ...]:
        """Return what the repository holds, nothing where this node has no tool to ask: its leader may leave backups to others.

        :raises PluginUnavailableError: it could not be read.
        """
        return () if self.name is None else self.listed()

    def carry_out(self, task: BackupTask, job: JobHandle) -> Ended:
        """Do the work of a task, for as long as it takes.

        :raises HacoreError: it could not be done.
        """
        with self.site() as site:
            match task.work:
                case BackupWork.BACKUP:
                    return self._back_up(task, site, job)
                case BackupWork.VERIFY:
                    return self._verify(task, site, job)
                case BackupWork.EXPIRE:
                    return self._expire(task, site, job)

    @contextmanager
    def site(self) -> Iterator[BackupSite]:
        """Give where the tool works, with the superuser's password in a file for the time of a block."""
        superuser = self.instance.settings.authentication.superuser
        with temporary_passfile(self.instance.layout.state_dir, login(superuser, "*", "*")) as passfile:
            yield backup_site(self.instance, self.context(), system_id=self.system_id(), passfile=passfile)

    def _back_up(self, task: BackupTask, site: BackupSite, job: JobHandle) -> Ended:
        node = self._node()
        if node is None or node.server is not ServerState.RUNNING or node.role is None:
            return Ended(error="the server of this node does not run")
        labels = {"scope": site.context.scope, "member": site.context.member, "token": str(task.token), "task": task.id}
        kind = kind_to_make(BackupKind(task.kind), self._ours(site), node.history, self._record().found_bad)
        request = BackupRequest(site=site, kind=kind, is_primary=node.is_primary, labels=labels)
        plugin = self.plugin()
        outcome = plugin.calls.call_here("hacore_backup", Backup, Failed, request=request, job=job)
        if isinstance(outcome, Failed):
            return Ended(error=outcome.reason)
        if not isinstance(outcome, Backup):
            return Ended(error=f"plugin {plugin.name}: hacore_backup returned nothing")
        return self._looked_up(outcome)

    def _node(self) -> NodeState | None:
        """Return this node as its last turn has read it."""
        latest = self.desk.latest()
        return latest[0].node if latest is not None else None

    def _record(self) -> BackupRecord:
        """Return the record as the last turn has read it from the store, where the task stood as well."""
        latest = self.desk.latest()
        record = latest[0].cluster.backups if latest is not None and latest[0].cluster is not None else None
        return record or BackupRecord()

    def _has_wal(self, backup: Backup, history: TimelineHistory | None) -> bool:
        """Tell whether the archive has the WAL of a backup; what cannot be asked is not there."""
        with suppress(HacoreError):
            return history is not None and has_all_of(self.instance, backup, history, is_ended=False)
        return False

    def _ours(self, site: BackupSite) -> list[Backup]:
        """Return what the repository holds of this cluster."""
        return of_cluster(self.listed(), site.system_id)

    def _looked_up(self, made: Backup) -> Ended:
        """A tool that says "done" is believed when its list has a good backup of that name."""
        listed = next((one for one in self.listed() if one.id == made.id), None)
        if listed is None or listed.state is not BackupState.OK:
            state = "is not in its list" if listed is None else f"is {listed.state} in its list"
            return Ended(error=f"the tool says that {made.id} is done, but it {state}", backup=made.id, is_found_bad=True)
        return Ended(backup=made.id)

    def _verify(self, task: BackupTask, site: BackupSite, job: JobHandle) -> Ended:
        plugin, node = self.plugin(), self._node()
        history = node.history if node is not None else None
        ours = self._ours(site)
        good = sorted((one for one in ours if one.state is BackupState.OK), key=age)
        leading = [one for one in good if leads_to(one, history)]  # one of a time that was given up is nobody's next restore
        backup = next((one for one in good if one.id == task.backup), None) if task.backup else leading[-1] if leading else None
        if backup is None:
            return Ended(error=f"there is no good backup {task.backup or 'to verify'}", backup=task.backup)
        said = []
        if plugin.calls.has("hacore_verify_backup"):
            job.progress(f"the tool checks {backup.id}")
            request = VerifyBackup(site=site, backup=backup)
            outcome = plugin.calls.call_here("hacore_verify_backup", Verified, Failed, request=request, job=job)
            if isinstance(outcome, Failed):
                job.check()  # a program that was ended may have failed by that
                return Ended(error=outcome.reason, backup=backup.id, is_found_bad=True)
            if isinstance(outcome, Verified):
                said.append(outcome.detail or "checked by the tool")
        if task.restores and self.verify_by_restore is not None:
            has_wal = self._has_wal(backup, history)  # before the copy asks for it: what comes later does not help that
            try:
                chosen = Chosen(backup=backup, room_bytes=room_bytes(backup, ours))
                said.append(self.verify_by_restore(plugin, chosen, site, job))
            except JobCancelledError:
                raise
            except (HacoreError, OSError) as error:
                job.check()  # the same
                is_bad = isinstance(error, FoundBadError)
                lacks = isinstance(error, FoundBadError) and error.may_lack_wal and not has_wal
                return Ended(error=str(error), backup=backup.id, is_found_bad=is_bad and not lacks, may_lack_wal=lacks)
        if not said:
            return Ended(error="the tool has no check of its own: verify by restoring (--restore)", backup=backup.id)
        return Ended(detail="; ".join(said), backup=backup.id)

    def _expire(self, task: BackupTask, site: BackupSite, job: JobHandle) -> Ended:
        plugin = self.plugin()
        if not plugin.calls.has("hacore_expire_backups"):
            return Ended(error=f"plugin {plugin.name} cannot remove backups: {', '.join(task.remove)} shall go")
        kept = tuple(one for one in self.listed() if one.id not in task.remove)
        if not any(one.state is BackupState.OK for one in kept):
            return Ended(error="no good backup would be left: nothing is removed")
        request = ExpireBackups(site=site, remove=task.remove, kept=tuple(sorted(kept, key=age)))
        outcome = plugin.calls.call_here("hacore_expire_backups", Expired, Failed, request=request, job=job)
        if isinstance(outcome, Failed):
            return Ended(error=outcome.reason)
        if not isinstance(outcome, Expired):
            return Ended(error=f"plugin {plugin.name}: hacore_expire_backups returned nothing")
        lost = sorted({one.id for one in kept} - {one.id for one in self.listed()})
        if lost:
            return Ended(error=f"the tool has removed more than it was told: {', '.join(lost)} are gone, too")
        return Ended(detail=f"removed {', '.join(outcome.removed) or 'nothing'}")
