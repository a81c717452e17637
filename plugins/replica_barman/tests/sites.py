"""A Barman of a test's own, and perhaps a server that archives into it."""

from dataclasses import dataclass, field
from pathlib import Path

from hacore.hookspecs import BackupRequest, ListBackups
from hacore.interfaces import Backup
from hacore.postgres.job import JobHandle
from hacore.testing.barman import BarmanHost, Sshd
from hacore.testing.conformance.plugin import PluginUnderTest
from hacore.testing.postgres import PlainServer
from hacore.testing.waiting import wait_for
from hacore.testing.workdir import give_away
from hacore_replica_barman.plugin import BarmanPlugin
from hacore_replica_barman.schema import BarmanSchema

PATIENCE_S = 300.0  # Barman starts Python several times for each step


@dataclass(kw_only=True)
class Site:
    """Barman, its host, and a place for files of the server's user."""

    barman: BarmanHost
    sshd: Sshd
    directory: Path
    server: PlainServer = field(init=False)

    def subject(self, kind: str, **more: object) -> PluginUnderTest:
        return PluginUnderTest(kind=kind, name="barman", section=self.barman.section(**more))

    def plugin(self, **more: object) -> BarmanPlugin:
        return BarmanPlugin(BarmanSchema().load(self.barman.section(**more)))

    def archive(self) -> str:
        """Fill a segment, wait until Barman has filed it away, and return its name."""
        name = self.server.switch_wal()
        path = self.barman.server_directory / "wals" / name[:16] / name
        wait_for(path.exists, f"{name} is filed away", deadline_s=PATIENCE_S)
        return name

    def make_backup(self) -> Backup:
        made = self.plugin().hacore_backup(BackupRequest(site=self.server.backup_site()), JobHandle())
        assert isinstance(made, Backup), made
        return made

    def backups(self) -> list[Backup]:
        return list(self.plugin().hacore_list_backups(ListBackups(site=self.server.backup_site())))

    def new_directory(self, name: str) -> Path:
        """An empty directory of the server's user."""
        path = self.directory / name
        path.mkdir(mode=0o700)
        give_away(path)
        return path
