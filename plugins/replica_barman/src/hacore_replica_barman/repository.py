"""What Barman keeps of one server: its backups, whose they are, and its WAL."""

from collections.abc import Mapping

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import ArchiveRequest
from hacore.interfaces import ArchiveConflict, ArchiveEmpty, ArchiveOwned, ArchiveStatus, Backup
from hacore.model.clock import Clock
from hacore_replica_barman import scripts, wire
from hacore_replica_barman.remote import Remote
from hacore_replica_barman.settings import BarmanSettings


class Repository:
    """Asks within the time of one hook.

    :param base: environment of the request.
    :raises PluginUnavailableError: from every call: Barman does not answer, or its answer is not understood.
    """

    def __init__(self, remote: Remote, settings: BarmanSettings, clock: Clock, base: Mapping[str, str]) -> None:
        self._remote, self._settings, self._clock, self._base = remote, settings, clock, base
        self._until = clock.now() + settings.query_timeout_s

    def backups(self) -> tuple[Backup, ...]:
        """Return every backup, the oldest first."""
        return self.listing().backups

    def listing(self) -> wire.Listing:
        """Return every backup and where its tablespaces were."""
        return wire.read_listing(self._ask("list-backup", scripts.listing(self._settings)), self._settings.server, scripts.MARK)

    def wal(self) -> ArchiveStatus:
        """Return what WAL there is."""
        return wire.read_wal(self._ask("xlog.db", scripts.wal(self._settings)).splitlines())

    def owner(self, request: ArchiveRequest) -> ArchiveEmpty | ArchiveOwned | ArchiveConflict:
        """Tell whose it is: Barman's own note tells, or a segment of WAL where it has not looked at a server yet."""
        found = self._ask("identity.json", scripts.owner(self._settings)).strip()
        if found == "nobody":
            return ArchiveEmpty()
        kind, _, name = found.partition(" ")
        if kind == "segment":
            system_id = wire.system_id_of(self._ask("get-wal", scripts.first_page(self._settings, name)))
            if system_id is None:
                raise PluginUnavailableError(f"barman get-wal: what is called {name} is no WAL segment")
        else:
            system_id = wire.read_owner(found)
        return wire.judged(system_id, request.identity.system_id, f"server {self._settings.server} of Barman")

    def _ask(self, what: str, script: str) -> str:
        code, text, words = self._remote.ask(self._base, script, limit_s=self._until - self._clock.now())
        if code != 0:
            raise PluginUnavailableError(f"barman: {what}: ended with {code}: {words}")
        return text
