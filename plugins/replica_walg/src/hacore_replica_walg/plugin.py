"""The hooks of WAL-G: one class, one instance, three kinds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from hacore.errors import ConfigError, PluginUnavailableError
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
    Offer,
    Refusal,
    Restored,
    SectionChecker,
    Verified,
)
from hacore.model.clock import Clock
from hacore_replica_walg.repository import Repository
from hacore_replica_walg.settings import WalgSettings
from hacore_replica_walg.tool import Place, Tool
from hacore_replica_walg.work import Work

_MISSING: Final = 74  # EX_IOERR: the file is not in the archive
_CONFLICT: Final = 3  # of our program, which knows it by WAL-G's words
_SHELL: Final = "/bin/sh"
_PUSH: Final = Path(__file__).with_name("programs") / "push.sh"
_ARCHIVE_TIMEOUT: Final = "300"  # seconds: what is lost at most where nothing but the archive is left


class WalgPlugin(ReplicaPlugin, ArchivePlugin, BackupPlugin):
    """Kinds ``replica``, ``archive`` and ``backup``."""

    def __init__(self, settings: WalgSettings) -> None:
        self._settings, self._tool = settings, Tool(settings)

    @staticmethod
    def hacore_config_schema() -> type[SectionChecker]:
        """Return the schema of the section."""
        from hacore_replica_walg.schema import WalgSchema  # noqa: PLC0415 - the agent does not load the schema's library

        return WalgSchema

    @hookimpl
    def hacore_validate(self, request: Validate) -> Sequence[str]:
        """Look for the program and the files; with ``online`` list the backups."""
        try:
            self._tool.command()
            named = self._tool.storages()
        except ConfigError as error:
            return (str(error),)
        if len(named) != 1:
            return (f"walg: storages named in config_file and environment: {', '.join(named) or 'none'}, want one",)
        if request.online:
            self._look(request.context.clock, {}, Place()).backups()
        return ()

    # ----------------------------------------------------------------------------------------- replica
    @hookimpl
    def hacore_replica_offer(self, request: ReplicaRequest) -> Offer | Refusal:
        """Offer the newest backup that leads to the leader, unless there is too much WAL since."""
        names = ", ".join(name for name, _ in request.options)
        if names:
            return Refusal(reason=f"the method's section has {names}: settings of WAL-G stand in plugins.walg")
        backups = self._look(request.context.clock, request.environment, Place(data_dir=request.data_dir)).backups()
        found = backups[-1].system_id if backups else None
        if None not in {request.system_id, found} and request.system_id != found:
            return Refusal(reason=f"the prefix is of another cluster: system identifier {found}, want {request.system_id}")
        return request.offer_of(
            backups,
            most_megabytes=self._settings.threshold_megabytes,
            most_percent=self._settings.threshold_backup_size_percentage,
        )

    @hookimpl
    def hacore_create_replica(self, request: ReplicaRequest, offer: Offer | None, job: Job) -> Created | Failed:
        """Fetch the backup that was offered."""
        if request.keeps_data:
            return Failed(reason="wal-g fetches into an empty directory only: keep_data must be off", untouched=True)
        if offer is None or offer.backup_id is None:
            return Failed(reason="no backup was offered", untouched=True)
        place, clock = Place(data_dir=request.data_dir), request.context.clock
        return self._work(clock, request.environment, place, job).fetch(offer.backup_id, request.data_dir, TablespacePlaces()) or Created()

    # ----------------------------------------------------------------------------------------- archive
    @hookimpl
    def hacore_archive_settings(self, request: ArchiveRequest) -> ArchiveSettings:
        """Name the programs; nothing is asked of the storage."""
        return ArchiveSettings(
            push=(_SHELL, str(_PUSH), *self._tool.command("wal-push", "%p")),
            fetch=self._tool.command("wal-fetch", "%f", "%p"),
            missing_codes=(_MISSING,),
            conflict_codes=(_CONFLICT,),
            environment=tuple(sorted(self._tool.own_environment(_place_of(request)).items())),
            parameters=(("archive_timeout", _ARCHIVE_TIMEOUT),),
            push_limit_s=self._settings.push_timeout_s,
            fetch_limit_s=self._settings.fetch_timeout_s,
        )

    @hookimpl
    def hacore_archive_identity(self, request: ArchiveRequest) -> ArchiveEmpty | ArchiveOwned | ArchiveConflict:
        """Tell whose backups and WAL are in the prefix."""
        return self._look(request.context.clock, request.environment, _place_of(request)).owner(request.identity)

    @hookimpl
    def hacore_archive_status(self, request: ArchiveRequest) -> ArchiveStatus:
        """Tell what WAL is in the prefix, and what is missing between."""
        return self._look(request.context.clock, request.environment, _place_of(request)).wal()

    # ------------------------------------------------------------------------------------------ backup
    @hookimpl
    def hacore_list_backups(self, request: ListBackups) -> Sequence[Backup]:
        """List what was finished: WAL-G does not list what runs or has failed."""
        return self._look(request.site.context.clock, request.site.environment, _place_of(request.site)).backups()

    @hookimpl
    def hacore_backup(self, request: BackupRequest, job: Job) -> Backup | Failed:
        """Make a backup of this node's data directory."""
        site = request.site
        if site.data_dir is None or site.socket_dir is None:
            return Failed(reason="wal-g backup-push needs the data directory and the socket of a server that runs")
        work = self._at(site, job)
        lacking = None if request.is_primary else work.wait_for_new_name(site.programs["psql"])
        return lacking or work.make(site.data_dir, request.kind, request.labels)

    @hookimpl
    def hacore_restore(self, request: RestoreRequest, job: Job) -> Restored | Failed:
        """Fetch the files of a backup."""
        return self._at(request.site, job).fetch(request.backup.id, request.data_dir, request.tablespaces) or Restored()

    @hookimpl
    def hacore_verify_backup(self, request: VerifyBackup, job: Job) -> Verified | Failed:
        """Let WAL-G compare the WAL that is stored with where the server is."""
        if request.site.socket_dir is None:
            raise PluginUnavailableError("wal-g wal-verify needs a server that runs")
        return self._at(request.site, job).verify(request.backup)

    @hookimpl
    def hacore_expire_backups(self, request: ExpireBackups, job: Job) -> Expired | Failed:
        """Remove what is named, and the WAL before everything that stays."""
        return self._at(request.site, job).expire(request.remove, request.kept)

    def _at(self, site: BackupSite, job: Job) -> Work:
        return self._work(site.context.clock, site.environment, _place_of(site), job)

    def _work(self, clock: Clock, base: Mapping[str, str], place: Place, job: Job) -> Work:
        return Work(self._tool, job, base, place, lambda: self._look(clock, base, place))

    def _look(self, clock: Clock, base: Mapping[str, str], place: Place) -> Repository:
        return Repository(self._tool, self._settings, clock, base, place)


def _place_of(request: ArchiveRequest | BackupSite) -> Place:
    return Place(data_dir=request.data_dir, socket_dir=request.socket_dir, port=request.port, superuser=request.superuser)
