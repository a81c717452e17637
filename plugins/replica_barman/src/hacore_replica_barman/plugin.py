"""The hooks of Barman: one class, one instance, three kinds."""

from collections.abc import Mapping, Sequence

from hacore.errors import ConfigError
from hacore.hookspecs import (
    ArchivePlugin,
    ArchiveRequest,
    BackupPlugin,
    BackupRequest,
    BackupSite,
    ExpireBackups,
    ListBackups,
    ReplicaPlugin,
    ReplicaRequest,
    RestoreRequest,
    TablespacePlaces,
    Validate,
    VerifyBackup,
    hookimpl,
)
from hacore.interfaces import (
    ArchiveConflict,
    ArchiveEmpty,
    ArchiveOwned,
    ArchiveSettings,
    ArchiveStatus,
    Backup,
    Created,
    Expired,
    Failed,
    Job,
    Metric,
    Offer,
    Refusal,
    Restored,
    SectionChecker,
    Verified,
)
from hacore.model.clock import BootClock
from hacore_replica_barman.cloud import CloudWork
from hacore_replica_barman.settings import BarmanSettings
from hacore_replica_barman.slot import SlotReport
from hacore_replica_barman.ways import Ways
from hacore_replica_barman.work import Work


class BarmanPlugin(ReplicaPlugin, ArchivePlugin, BackupPlugin):
    """Kinds ``replica``, ``archive`` and ``backup``."""

    def __init__(self, settings: BarmanSettings) -> None:
        self._settings, self._ways = settings, Ways(settings)
        self._slot = SlotReport(settings.slot, BootClock())

    @staticmethod
    def hacore_config_schema() -> type[SectionChecker]:
        """Return the schema of the section."""
        from hacore_replica_barman.schema import BarmanSchema  # noqa: PLC0415 - the agent does not load the schema's library

        return BarmanSchema

    @hookimpl
    def hacore_validate(self, request: Validate) -> Sequence[str]:
        """Look for ssh or the programs; with ``online`` list the backups."""
        try:
            self._ways.check()
        except ConfigError as error:
            return (str(error),)
        if request.online:
            self._ways.look(request.context.clock, {}).backups()
        return ()

    @hookimpl
    def hacore_metrics(self) -> Sequence[Metric]:
        """Ask the server, where it is the leader, whether Barman is connected to its slot."""
        return self._slot.samples()

    @hookimpl
    def hacore_status(self) -> Mapping[str, str | int | float | bool | None]:
        """Say whether Barman receives WAL."""
        words = self._slot.words()
        return {} if words is None else {"slot": words}

    # ----------------------------------------------------------------------------------------- replica
    @hookimpl
    def hacore_replica_offer(self, request: ReplicaRequest) -> Offer | Refusal:
        """Offer the newest backup that leads to the leader, unless there is too much WAL since."""
        names = ", ".join(name for name, _ in request.options)
        if names:
            return Refusal(reason=f"the method's section has {names}: settings of Barman stand in plugins.barman")
        return request.offer_of(
            self._ways.look(request.context.clock, request.environment).backups(),
            most_megabytes=self._settings.threshold_megabytes,
            most_percent=self._settings.threshold_backup_size_percentage,
        )

    @hookimpl
    def hacore_create_replica(self, request: ReplicaRequest, offer: Offer | None, job: Job) -> Created | Failed:
        """Restore the backup that was offered."""
        if offer is None or offer.backup_id is None:
            return Failed(reason="no backup was offered", untouched=True)
        work = self._ways.work(request.context.clock, request.environment, job)
        return work.restore(offer.backup_id, request.data_dir, TablespacePlaces()) or Created()

    # ----------------------------------------------------------------------------------------- archive
    @hookimpl
    def hacore_archive_settings(self, request: ArchiveRequest) -> ArchiveSettings:
        """Name the program; nothing is asked of Barman."""
        self._slot.remember(request)
        return self._ways.archive_settings()

    @hookimpl
    def hacore_archive_identity(self, request: ArchiveRequest) -> ArchiveEmpty | ArchiveOwned | ArchiveConflict:
        """Tell whose backups and WAL Barman has under this name."""
        return self._ways.look(request.context.clock, request.environment).owner(request)

    @hookimpl
    def hacore_archive_status(self, request: ArchiveRequest) -> ArchiveStatus:
        """Tell what WAL Barman has; ``barman-cloud-*`` cannot tell."""
        self._slot.remember(request)
        return self._ways.wal(request.context.clock, request.environment)

    # ------------------------------------------------------------------------------------------ backup
    @hookimpl
    def hacore_list_backups(self, request: ListBackups) -> Sequence[Backup]:
        """List every backup of the server."""
        self._slot.remember(request.site)
        return self._ways.look(request.site.context.clock, request.site.environment).backups()

    @hookimpl
    def hacore_backup(self, request: BackupRequest, job: Job) -> Backup | Failed:
        """Tell Barman to make a backup, of the server that its own configuration says; from here where it is object storage."""
        return self._at(request.site, job).make(request.site, request.kind)

    @hookimpl
    def hacore_restore(self, request: RestoreRequest, job: Job) -> Restored | Failed:
        """Have Barman put the files of a backup here."""
        return self._at(request.site, job).restore(request.backup.id, request.data_dir, request.tablespaces) or Restored()

    @hookimpl
    def hacore_verify_backup(self, request: VerifyBackup, job: Job) -> Verified | Failed | None:
        """Let Barman check its files and its WAL; ``barman-cloud-*`` have no check."""
        return self._at(request.site, job).verify(request.backup)

    @hookimpl
    def hacore_expire_backups(self, request: ExpireBackups, job: Job) -> Expired | Failed:
        """Remove what is named."""
        return self._at(request.site, job).expire(request.remove, request.kept) or Expired(removed=request.remove)

    def _at(self, site: BackupSite, job: Job) -> Work | CloudWork:
        self._slot.remember(site)
        return self._ways.work(site.context.clock, site.environment, job)
