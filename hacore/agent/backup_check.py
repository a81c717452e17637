"""Checks a backup by what it is for: it is restored into a scratch directory, started there and read. Nothing of it is left."""

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hacore.agent.scratch_copy import ScratchCopy
from hacore.agent.scratch_room import ScratchRoom, is_shared
from hacore.agent.settings import SettingsSource
from hacore.backup.choice import Chosen
from hacore.errors import DataDirectoryError, FoundBadError
from hacore.hookspecs import BackupSite, RestoreRequest, TablespacePlaces
from hacore.interfaces import Backup
from hacore.model.lsn import Lsn
from hacore.plugins.backup import restore_backup
from hacore.plugins.registry import Plugin
from hacore.postgres.archive_scripts import ShimPlace
from hacore.postgres.archive_shim import restore_command_for
from hacore.postgres.controldata import ControlReader
from hacore.postgres.instance import Instance
from hacore.postgres.job import JobHandle
from hacore.postgres.scratch import Seen, look_into
from hacore.postgres.tablespaces import links, refuse_outside, settled

_BEHIND_S: Final = 60.0
_LOOK_S: Final = 0.5
_ANSWER_S: Final = 5.0
_REPLAYED: Final = """SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()::text END,
    coalesce((SELECT received_tli FROM pg_stat_wal_receiver), (SELECT timeline_id FROM pg_control_checkpoint()))"""
_SPACES: Final = "tablespaces"
_WHOLE: Final = ("PG_VERSION", "global/pg_control", "backup_label")  # without the last it would start as if it were consistent


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreCheck:
    """Runs in the thread of a task."""

    settings: SettingsSource
    instance: Instance

    def __call__(self, plugin: Plugin, chosen: Chosen, site: BackupSite, job: JobHandle) -> str:
        """Restore, start, read, remove; return what was seen.

        :raises FoundBadError: the copy is no good.
        :raises HacoreError: it could not be made, or not be looked into: that says nothing of the backup.
        """
        backup = chosen.backup
        self._wait_until_replayed(backup, job)
        root = self._root()
        copy = ScratchCopy(root=root, scope=site.context.scope, member=site.context.member, data_dir=self.instance.layout.data_dir)
        place = copy.make()
        try:
            room = self._room(root)
            room.refuse_without(chosen.room_bytes)
            with room.watched(job):
                seen = self._seen(plugin, backup, site, place, job)
        finally:
            copy.remove()
        return f"restored and read: {seen.databases} databases, {seen.relations} relations, {seen.bytes >> 20} MiB, {seen.checksums}"

    def _seen(self, plugin: Plugin, backup: Backup, site: BackupSite, place: Path, job: JobHandle) -> Seen:
        data = place / "data"
        data.mkdir(mode=0o700)
        job.progress(f"restores {backup.id}")
        places = TablespacePlaces(below=str(place / _SPACES))
        request = RestoreRequest(site=site, backup=backup, data_dir=str(data), tablespaces=places)
        restore_backup(plugin, request, job)
        _refuse_strange(data, backup, self.instance)
        self._keep_off_tablespaces(place, data)
        job.progress("starts the restored copy")
        return look_into(self.instance, job, data, restore_command=self._restore_command(place, data))

    def _room(self, root: Path) -> ScratchRoom:
        layout = self.instance.layout
        used = (layout.data_dir, layout.wal_dir, *map(Path, links(layout.data_dir).values()))
        return ScratchRoom(root=root, is_shared=is_shared(root, used))

    def _root(self) -> Path:
        section = self.settings.local.plugins.backup or {}
        named = section.get("scratch_dir")
        root = Path(str(named)) if named else Path(f"{self.instance.layout.data_dir}.scratch")
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return root

    def _wait_until_replayed(self, backup: Backup, job: JobHandle) -> None:
        """A standby that lags may not know a tablespace yet that the copy would write into."""
        until = time.monotonic() + _BEHIND_S
        with closing(self.instance.session(statement_timeout_s=_ANSWER_S)) as session:
            while True:
                text, timeline = session.query(_REPLAYED, timeout_s=_ANSWER_S)[0]
                reached = None if text is None else Lsn.parse(text)
                if reached is None or timeline != backup.timeline or backup.stop_lsn is None or reached >= backup.stop_lsn:
                    return
                if time.monotonic() >= until:
                    raise DataDirectoryError(f"this server is at {reached} only, {backup.id} ends at {backup.stop_lsn}: check it elsewhere")
                job.progress(f"waits until this server has replayed {backup.id}")
                job.wait(_LOOK_S)

    def _keep_off_tablespaces(self, place: Path, data: Path) -> None:
        """Let the copy write into no directory of this node's own tablespaces: it replays their creation at the path that the WAL has."""
        copied, own = settled(data), links(self.instance.layout.data_dir)
        refuse_outside(copied, place)
        fresh = sorted(f"{oid} ({where})" for oid, where in own.items() if oid not in copied)
        if fresh:
            raise DataDirectoryError(
                f"these tablespaces are younger than the backup, which might write into them when it is started: {', '.join(fresh)};"
                " make a newer backup and check that"
            )

    def _restore_command(self, place: Path, data: Path) -> str | None:
        """Return how the copy fetches what it needs to be consistent; it knows no way to push anything.

        :returns: ``None``: this node has no archive by a plugin, or that has not said yet how WAL is fetched.
        """
        own = self.instance.control.read(self.instance.programs).control
        shim = self.instance.archiving.shim(own)
        if shim is None:
            return None
        return restore_command_for(
            shim.settings, ShimPlace(directory=place / "archive", data_dir=data, segment_bytes=own.wal_segment_bytes)
        )


def _refuse_strange(data: Path, backup: Backup, instance: Instance) -> None:
    """A tool that says "restored" is believed when a data directory is there, and the right one.

    :raises FoundBadError: it is not.
    """
    lacking = next((name for name in _WHOLE if not (data / name).is_file()), None)
    if lacking is not None:
        raise FoundBadError(f"{backup.id}: restored without {lacking}")
    found = ControlReader(data).read(instance.programs).control
    if backup.system_id is not None and found.system_id != backup.system_id:
        raise FoundBadError(f"{backup.id}: restored was a cluster of system identifier {found.system_id}, want {backup.system_id}")
