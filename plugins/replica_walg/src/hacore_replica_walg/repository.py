"""What is in the prefix: its backups, whose they are, and its WAL."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hacore.errors import PluginUnavailableError
from hacore.interfaces import ArchiveConflict, ArchiveEmpty, ArchiveOwned, ArchiveStatus, Backup, Identity
from hacore.model.clock import Clock
from hacore_replica_walg import wire
from hacore_replica_walg.settings import WalgSettings
from hacore_replica_walg.tool import Place, Tool

_SCOPE: Final = "scope"  # the label that the core gives to each backup


class Repository:
    """Asks within the time of one hook.

    :param base: environment of the request.
    :raises PluginUnavailableError: from every call: it does not answer, or its answer is not understood.
    """

    def __init__(self, tool: Tool, settings: WalgSettings, clock: Clock, base: Mapping[str, str], place: Place) -> None:
        self._tool, self._clock, self._base, self._place = tool, clock, base, place
        self._until = clock.now() + settings.query_timeout_s

    def backups(self) -> tuple[Backup, ...]:
        """Return every backup that was finished, the oldest first."""
        return wire.read_backups(self._ask("backup-list", "--json", "--detail"), self.sentinel)

    def wal(self) -> ArchiveStatus:
        """Return what WAL there is."""
        return wire.read_status(self._ask("wal-show", "--detailed-json"))

    def sentinel(self, backup_id: str) -> str:
        """Return what WAL-G itself has written of a backup."""
        return self._ask("st", "cat", f"basebackups_005/{backup_id}_backup_stop_sentinel.json")

    def owner(self, identity: Identity) -> ArchiveEmpty | ArchiveOwned | ArchiveConflict:
        """Tell whose it is: by the newest backup, or by the newest segment of WAL where no backup tells."""
        backups = self.backups()
        labelled = next((one for one in reversed(backups) if _SCOPE in one.labels), None)  # one that was made by hand has no label
        if labelled is not None and labelled.labels[_SCOPE] != identity.scope:
            return ArchiveConflict(owner=f"cluster {labelled.labels[_SCOPE]} (backup {labelled.id})")
        if backups and backups[-1].system_id is not None:
            return _judged(backups[-1].system_id, identity, f"backup {backups[-1].id}")
        last = self.wal().last_segment
        if last is None:
            return ArchiveOwned() if backups else ArchiveEmpty()
        return _judged(self._system_id_in(last), identity, f"WAL segment {last}")

    def _system_id_in(self, segment: str) -> str:
        with tempfile.TemporaryDirectory(prefix="hacore-walg-") as directory:
            path = Path(directory) / segment
            self._ask("wal-fetch", segment, str(path), tool=self._tool.told(WALG_DOWNLOAD_CONCURRENCY="1"))  # and none ahead
            found = wire.system_id_of(path.read_bytes()) if path.exists() else None
        if found is None:
            raise PluginUnavailableError(f"wal-g wal-fetch: what is called {segment} is no WAL segment")
        return found

    def _ask(self, *words: str, tool: Tool | None = None) -> str:
        code, text = (tool or self._tool).ask(self._base, self._place, *words, limit_s=self._until - self._clock.now())
        if code != 0:
            raise PluginUnavailableError(f"wal-g {words[0]} ended with {code}: {text}")
        return text


def _judged(system_id: str, identity: Identity, where: str) -> ArchiveOwned | ArchiveConflict:
    if system_id == identity.system_id:
        return ArchiveOwned()
    return ArchiveConflict(owner=f"a cluster with the system identifier {system_id} ({where})")
