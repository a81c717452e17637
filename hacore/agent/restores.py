"""Puts the files of a backup in place for a restore or a bootstrap: of this cluster, or of another one whose backups a plugin reaches."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hacore.agent.settings import SettingsSource
from hacore.agent.source_history import history_of, newest_history
from hacore.backup.choice import NoneFits, choose
from hacore.config.settings import BootstrapRestore
from hacore.errors import DataDirectoryError, PluginUnavailableError
from hacore.hookspecs import ArchiveRequest, BackupSite, PluginContext, RestoreRequest, TablespacePlaces
from hacore.interfaces import ArchiveSettings, Backup, Identity
from hacore.model.clock import Clock
from hacore.model.recovery import CURRENT_TIMELINE, LATEST_TIMELINE
from hacore.model.timeline import TimelineHistory
from hacore.plugins.archive import archive_settings
from hacore.plugins.backup import list_backups, restore_backup
from hacore.plugins.finding import declared
from hacore.plugins.registry import Plugin, Registry, Wanted
from hacore.plugins.selection import backup_of
from hacore.postgres.archive_scripts import ShimPlace
from hacore.postgres.archive_shim import restore_command_for
from hacore.postgres.controldata import ControlReader
from hacore.postgres.filling import Filling
from hacore.postgres.instance import Instance
from hacore.postgres.job import JobHandle
from hacore.postgres.surroundings import RestoredFiles, RestoreOrder
from hacore.postgres.tooling import backup_site

_SOURCE: Final = "archive.source"  # programs that only fetch, from another cluster's archive


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreMaker:
    """Runs in the worker's thread."""

    registry: Registry
    settings: SettingsSource
    context: Callable[[], PluginContext]
    clock: Clock

    def restore(self, instance: Instance, order: RestoreOrder, job: JobHandle) -> RestoredFiles:
        """Choose, have room made, and fill the directory; return how to recover.

        :raises DataDirectoryError: no backup leads to the target, or the tool has failed.
        :raises PluginUnavailableError: the repository does not answer.
        """
        source = instance.bootstrap.method.restore if order.is_bootstrap and instance.bootstrap and instance.bootstrap.method else None
        with self._plugins(source) as plugins:
            plugin = plugins["backup"]
            site = replace(backup_site(instance, self.context(), system_id=order.system_id), socket_dir=None)
            backups = list_backups(plugin, site)
            history = None
            if "archive" in plugins:
                origin, asked = plugins["archive"], self._archive_request(site, order, _system_id_of(backups), instance.programs.major)
                if source is not None and source.source:
                    self._refuse_archive_of_origin(origin, asked)
                history = _history(instance, order.target.timeline, archive_settings(origin, asked), backups, job)
            backup = self._chosen(backups, order, history)
            order.make_room()
            job.progress(f"restores {backup.id}")
            places = TablespacePlaces(moved=source.tablespaces if source is not None else {}, heard=Filling(instance.layout.state_dir).note)
            request = RestoreRequest(site=site, backup=backup, data_dir=order.data_dir, tablespaces=places)
            restore_backup(plugin, request, job)
            command = self._fetch_command(instance, plugins["archive"], site, order) if "archive" in plugins else None
            return RestoredFiles(restore_command=command, along=None if history is None else history.timeline)

    @contextmanager
    def _plugins(self, source: BootstrapRestore | None) -> Iterator[Mapping[str, Plugin]]:
        """Give the plugin of this cluster; or, for a bootstrap, a second instance with the settings that lead to another's backups."""
        if source is None:
            name = backup_of(self.settings.local)
            found = None if name is None else self.registry.get("backup", name)
            if found is None:
                raise PluginUnavailableError("no plugin for backups is configured on this node (backup.plugin)")
            yield {"backup": found}
            return
        kinds = [one.kind for one in declared(["backup", "archive"]) if one.name == source.plugin]
        registry = Registry()
        registry.update(Wanted(kind=kind, name=source.plugin, settings=self.settings.local.plugins.bootstrap) for kind in kinds)
        try:
            yield {kind: plugin for kind in kinds if (plugin := registry.get(kind, source.plugin)) is not None}
        finally:
            registry.close()

    def _chosen(self, backups: Sequence[Backup], order: RestoreOrder, history: TimelineHistory | None) -> Backup:
        # In place the plan has chosen, by the histories that the running server has and its archive.
        target = order.target if order.is_bootstrap else replace(order.target, timeline=CURRENT_TIMELINE)
        chosen = choose(backups, target, history=history, named=order.backup, system_id=order.system_id, now=self.clock.wall())
        if isinstance(chosen, NoneFits):
            raise DataDirectoryError(str(chosen))
        return chosen.backup

    def _refuse_archive_of_origin(self, origin: Plugin, request: ArchiveRequest) -> None:
        """A copy has the system identifier of its origin: not every archive could tell them apart once it pushes there.

        :raises DataDirectoryError: where the origin's WAL is, this cluster's would go.
        """
        name = self.settings.local.plugins.archive
        own = None if name is None else self.registry.get("archive", name)
        if own is not None and archive_settings(own, request) == archive_settings(origin, request):
            raise DataDirectoryError(
                f"the bootstrap method's source leads to where this cluster archives (plugins.{name}): a copy would write into the"
                " archive of its origin: give it one of its own; where it is the same cluster again, leave source out"
            )

    def _archive_request(self, site: BackupSite, order: RestoreOrder, system_id: str, major_version: int) -> ArchiveRequest:
        identity = Identity(system_id=system_id, major_version=major_version, scope=site.context.scope)
        return ArchiveRequest(context=site.context, identity=identity, data_dir=order.data_dir, environment=site.environment)

    def _fetch_command(self, instance: Instance, plugin: Plugin, site: BackupSite, order: RestoreOrder) -> str:
        control = ControlReader(Path(order.data_dir)).read(instance.programs).control
        request = self._archive_request(site, order, control.system_id, control.major_version)
        place = ShimPlace(
            directory=instance.layout.state_dir / _SOURCE, data_dir=Path(order.data_dir), segment_bytes=control.wal_segment_bytes
        )
        return restore_command_for(archive_settings(plugin, request), place)


def _history(
    instance: Instance, timeline: str, settings: ArchiveSettings, backups: Sequence[Backup], job: JobHandle
) -> TimelineHistory | None:
    """Return the history that the recovery follows; ``None``: that of the backup, or not known."""
    if timeline == CURRENT_TIMELINE:
        return None
    if timeline == LATEST_TIMELINE:
        return newest_history(instance, settings, backups, job)
    return history_of(instance, settings, int(timeline), job)


def _system_id_of(backups: Sequence[Backup]) -> str:
    """Whose backups they are, as far as the newest that tells it tells."""
    return next((one.system_id for one in reversed(backups) if one.system_id is not None), "")
