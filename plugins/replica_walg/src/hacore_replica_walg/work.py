"""The long work: backups made, fetched, checked and removed. Each command is a program of a job, which ends it with its descendants."""

import tempfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import TablespacePlaces
from hacore.interfaces import Backup, BackupKind, Expired, Failed, Job, Verified
from hacore_replica_walg import wire
from hacore_replica_walg.repository import Repository
from hacore_replica_walg.tool import Place, Tool, last_words

_RETRY_S: Final = 5.0
_ORIGIN: Final = {BackupKind.INCREMENTAL: "LATEST", BackupKind.DIFFERENTIAL: "LATEST_FULL"}
_BEGINS: Final = "SELECT redo_wal_file FROM pg_control_checkpoint()"
_CHECKPOINT_ROUND_S: Final = 2.0
_CHECKPOINT_ROUNDS: Final = 1800  # the longest checkpoint_timeout that is common is half an hour
_WHOLE: Final = ("PG_VERSION", "backup_label", "global/pg_control")


class Work:
    """One piece of work.

    :param look: opens the repository anew for each question: each has its own limit.
    """

    def __init__(self, tool: Tool, job: Job, base: Mapping[str, str], place: Place, look: Callable[[], Repository]) -> None:
        self._tool, self._job, self._base, self._place, self._look = tool, job, base, place, look

    def fetch(self, backup_id: str, data_dir: str, tablespaces: TablespacePlaces) -> Failed | None:
        """Put the files of a backup into a directory; ``None``: they are there.

        :raises DataDirectoryError: a tablespace cannot go where it would.
        """
        self._job.progress(f"wal-g: fetches {backup_id}")
        with tempfile.TemporaryDirectory(prefix="hacore-walg-") as directory:
            spec: tuple[str, ...] = ()
            try:
                text = wire.restore_spec(self._look().sentinel(backup_id), tablespaces, data_dir)
            except PluginUnavailableError as error:
                return Failed(reason=str(error), retry_after_s=_RETRY_S)
            if text is not None:
                path = Path(directory) / "spec.json"
                path.write_text(text)
                spec = ("--restore-spec", str(path))
            ended = self._run("backup-fetch", data_dir, backup_id, *spec)
        if ended is not None:
            return Failed(reason=ended, retry_after_s=_RETRY_S)
        lacking = [name for name in _WHOLE if not (Path(data_dir) / name).exists()]
        return Failed(reason=f"wal-g backup-fetch said that all is well, and there is no {lacking[0]}") if lacking else None

    def make(self, data_dir: str, kind: BackupKind, labels: Mapping[str, str]) -> Backup | Failed:
        """Make a backup of the server of this node."""
        tag = uuid.uuid4().hex
        full = ("--full",) if kind is BackupKind.FULL else ()
        tool = self._tool.told(WALG_DELTA_ORIGIN=_ORIGIN[kind]) if kind in _ORIGIN else self._tool
        ended = self._run("backup-push", data_dir, *full, "--add-user-data", wire.user_data(labels, tag), tool=tool)
        if ended is not None:
            return Failed(reason=ended)
        made = next((one for one in self._look().backups() if wire.is_tagged(one, tag)), None)
        return made or Failed(reason="wal-g backup-push said that all is well, and the backup is not in the list")

    def wait_for_new_name(self, psql: str) -> Failed | None:
        """Wait until a backup of this standby begins in a segment of its own; ``None``: it does.

        A backup is called after the segment in which it begins. On a primary that is always a new one; on a standby it is that of the last
        checkpoint, and WAL-G writes over what has the same name.
        """
        backups, patience = self._look().backups(), _CHECKPOINT_ROUNDS
        while True:
            begins = self._begins(psql)
            if isinstance(begins, Failed):
                return begins
            there = wire.begins_no_earlier(begins, backups)
            if there is None:
                return None
            if not patience:
                return Failed(reason=f"it would begin in {begins}, {there.id} does so or later: the primary has made no checkpoint since")
            patience -= 1
            self._job.progress(f"waits for a checkpoint of the primary: {there.id} begins in the same WAL")
            self._job.wait(_CHECKPOINT_ROUND_S)

    def _begins(self, psql: str) -> str | Failed:
        lines: list[str] = []
        words = [psql, "-XAtqc", "CHECKPOINT", "-c", _BEGINS]
        ended = self._job.run(words, environment={**self._base, **dict(self._place.environment())}, on_line=lines.append)
        segment = lines[-1].strip() if lines else ""
        if ended.exit_code != 0 or not segment:
            return Failed(reason=f"where a backup would begin is not known: {last_words(ended.output)}")
        return segment

    def verify(self, backup: Backup) -> Verified | Failed:
        """Look whether all WAL since a backup is stored; what is inside the backup only a restore tells.

        :raises PluginUnavailableError: WAL-G came to no verdict.
        """
        if all(one.id != backup.id for one in self._look().backups()):
            return Failed(reason=f"{backup.id} is not in the list")
        lines: list[str] = []
        ended = self._run("wal-verify", "integrity", "--json", on_line=lines.append)
        if ended is not None:
            raise PluginUnavailableError(ended)
        runs = wire.read_integrity(lines)
        lacking = [run for run in runs if run.status != "FOUND" and run.last[8:] >= wire.segment_of(backup)]
        lost = [run for run in lacking if run.status == "MISSING_LOST"]
        if lost:
            return Failed(reason=f"WAL since {backup.id} is lost: {'; '.join(f'{run.first} to {run.last}' for run in lost)}")
        if any(run.first[8:] <= wire.segment_of(backup) for run in lacking):
            raise PluginUnavailableError(f"wal-g wal-verify: WAL that {backup.id} itself needs is not stored yet: {wire.order_of(backup)}")
        waiting = f", on its way: {'; '.join(f'{run.first} to {run.last}' for run in lacking)}" if lacking else ""
        return Verified(detail=f"WAL since {wire.order_of(backup)} is stored{waiting}")

    def expire(self, remove: tuple[str, ...], kept: tuple[Backup, ...]) -> Expired | Failed:
        """Remove the named backups one by one, and then the WAL before all that are left. Nothing is counted or chosen here."""
        before = {one.id: one for one in self._look().backups()}
        stays = [one for one in before.values() if one.id not in remove]
        origins = {one.id: wire.origin(self._look().sentinel(one.id)) for one in stays if one.parent is not None}
        wrong = _wrong_with(remove, kept, before, origins)
        if wrong is not None:
            return Failed(reason=wrong)
        for one in reversed([one for one in before.values() if one.id in remove]):  # what was made of another goes before it
            ended = self._run("delete", "target", one.id, "--confirm")
            if ended is not None:
                return Failed(reason=ended)
        left = {one.id: one for one in self._look().backups()}
        lost = sorted(set(before) - set(left) - set(remove))
        if lost:
            return Failed(reason=f"wal-g delete has removed more than it was told: {', '.join(lost)}")
        still = sorted(set(left) & set(remove))
        if still:
            return Failed(reason=f"wal-g delete said that all is well, and there are still {', '.join(still)}")
        first = min(left.values(), key=wire.order_of, default=None)  # by name, as WAL-G compares: so none of them is "before" it
        if first is not None:
            ended = self._run("delete", "before", first.id, "--confirm")
            if ended is not None:
                return Failed(reason=ended)
        return Expired(removed=remove, detail="" if first is None else f"WAL before {wire.order_of(first)} as well")

    def _run(self, *words: str, on_line: Callable[[str], None] | None = None, tool: Tool | None = None) -> str | None:
        """Run a command to its end; what went wrong, ``None``: nothing."""
        finished = (tool or self._tool).run(self._job, self._base, self._place, *words, on_line=on_line or self._tell)
        if finished.exit_code == 0:
            return None
        return f"wal-g {words[0]} ended with {finished.exit_code}: {last_words(finished.output)}"

    def _tell(self, line: str) -> None:
        self._job.progress(f"wal-g: {line.strip()}")


def _wrong_with(
    remove: tuple[str, ...], kept: tuple[Backup, ...], there: Mapping[str, Backup], origins: Mapping[str, str]
) -> str | None:  # fmt: skip
    """Say why nothing may be removed: the list is another than the one that was chosen from, or WAL-G would take more than is named.

    :param origins: of what each increment that stays was made: WAL-G removes with a backup all that was made of it.
    """
    gone = [one.id for one in kept if one.id not in there]
    if gone:
        return f"{', '.join(gone)} should be kept and is not in the list: nothing is removed"
    orphans = [name for name, origin in origins.items() if origin in remove]
    if orphans:
        return f"{', '.join(orphans)} would go with what it was made of: nothing is removed"
    return None
