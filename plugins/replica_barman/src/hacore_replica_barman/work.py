"""The long work: backups made, restored, checked and removed. Each command is a program of a job, which ends it on both hosts."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import BackupSite, TablespacePlaces
from hacore.interfaces import Backup, BackupKind, BackupState, Failed, Job, Verified
from hacore_replica_barman import scripts, wire
from hacore_replica_barman.remote import Remote, last_words
from hacore_replica_barman.repository import Repository
from hacore_replica_barman.settings import BarmanSettings

_RETRY_S: Final = 5.0
_WHOLE: Final = ("PG_VERSION", "backup_label", "global/pg_control")
_DAMAGED: Final = "verify backup failure on directory"  # what Barman says where pg_verifybackup has run, and complains
_ORIGIN: Final = ".origin"  # what recover calls a file of settings as it was before


class Work:
    """One piece of work.

    :param look: opens the repository anew for each question: each has its own limit.
    """

    def __init__(self, settings: BarmanSettings, job: Job, base: Mapping[str, str], look: Callable[[], Repository]) -> None:
        self._settings, self._remote, self._job, self._base, self._look = settings, Remote(settings), job, base, look

    def restore(self, backup_id: str, data_dir: str, tablespaces: TablespacePlaces) -> Failed | None:
        """Put the files of a backup into a directory; ``None``: they are there, with the settings that they were backed up with.

        :raises HacoreError: it is not known where its tablespaces would go, or one cannot go there.
        """
        self._job.progress(f"barman: restores {backup_id}")
        options = ["--no-get-wal" if self._settings.copies_wal else "--get-wal"]
        if self._settings.recover_ssh_command is not None:
            options += ["--remote-ssh-command", self._settings.recover_ssh_command]
        options += self._look().listing().moves(backup_id, tablespaces)
        ended = self._run("recover", *options, self._settings.server, backup_id, data_dir)
        if ended is not None:
            return Failed(reason=ended, retry_after_s=_RETRY_S)
        lacking = [name for name in _WHOLE if not (Path(data_dir) / name).exists()]
        if lacking:
            return Failed(reason=f"barman recover said that all is well, and there is no {lacking[0]}")
        put_back(Path(data_dir))
        return None

    def make(self, _: BackupSite, kind: BackupKind) -> Backup | Failed:
        """Have a backup made of the server that Barman is connected to, whichever that is.

        :param kind: a full one shares no file with the one before, which may be damaged: ``reuse_backup`` trusts size and time.
        """
        reuse = ("--reuse-backup", "off") if kind is BackupKind.FULL else ()
        begun: list[str] = []

        def listen(line: str) -> None:
            found = wire.begun(line)
            if found is not None:
                begun.append(found)
            self._tell(line)

        ended = self._run("backup", "--wait", *reuse, self._settings.server, on_line=listen)
        if ended is not None:
            return Failed(reason=ended)
        if not begun:
            return Failed(reason="barman backup said that all is well, and not which backup it has begun")
        made = next((one for one in self._look().backups() if one.id == begun[0]), None)
        if made is None:
            return Failed(reason=f"barman backup said that all is well, and {begun[0]} is not in the list")
        if made.state is not BackupState.OK:
            return Failed(reason=f"barman backup said that all is well, and {made.id} is {made.state}")
        return made

    def verify(self, backup: Backup) -> Verified | Failed:
        """Let Barman look for the WAL of a backup, and compare its files with their checksums where they were noted.

        :raises PluginUnavailableError: Barman came to no verdict.
        """
        ended = self._run("check-backup", self._settings.server, backup.id)  # its verdict is the state that it leaves in the list
        found = next((one for one in self._look().backups() if one.id == backup.id), None)
        if found is None or found.state is BackupState.FAILED:
            return Failed(reason=f"{backup.id} is {'not in the list' if found is None else found.state}")
        if ended is not None or found.state is not BackupState.OK:
            raise PluginUnavailableError(ended or f"barman check-backup: {backup.id} waits for WAL")
        manifest = f"{self._settings.backup_directory}/base/{backup.id}/data/backup_manifest"
        verify = scripts.barman(self._settings, "verify-backup", self._settings.server, backup.id)
        script = f"if [ ! -e {shlex.quote(manifest)} ]; then echo no manifest; exit; fi; exec {verify}"
        lines: list[str] = []
        ended = self._run_script("verify-backup", shlex.join(("sh", "-c", script)), lines.append)
        if ended is not None and any(_DAMAGED in line for line in lines):
            return Failed(reason=ended)
        if ended is not None:
            raise PluginUnavailableError(ended)
        has_manifest = not any("no manifest" in line for line in lines)
        return Verified(detail="its WAL is there" + (", its files have the checksums of its manifest" if has_manifest else ""))

    def expire(self, remove: tuple[str, ...], kept: tuple[Backup, ...]) -> Failed | None:
        """Remove the named backups one by one. WAL that nothing needs goes with the oldest one; that is Barman's affair."""
        before = {one.id: one for one in self._look().backups()}
        gone = [one.id for one in kept if one.id not in before]
        if gone:
            return Failed(reason=f"{', '.join(gone)} should be kept and is not in the list: nothing is removed")
        locked = [name for name in remove if name in before and before[name].is_locked]
        if locked:
            return Failed(reason=f"{', '.join(locked)} is kept in Barman: nothing is removed")
        orphans = [one.id for one in before.values() if one.id not in remove and one.parent in remove]
        if orphans:
            return Failed(reason=f"{', '.join(orphans)} would go with what it was made of: nothing is removed")
        for name in reversed([name for name in before if name in remove]):
            ended = self._run("delete", self._settings.server, name)
            if ended is not None:
                return Failed(reason=ended)
        left = {one.id for one in self._look().backups()}
        lost = sorted(set(before) - left - set(remove))
        if lost:
            return Failed(reason=f"{', '.join(lost)} has gone meanwhile: is there a retention_policy in Barman's own configuration?")
        still = sorted(left & set(remove))
        return Failed(reason=f"barman delete said that all is well, and there are still {', '.join(still)}") if still else None

    def _run(self, *words: str, on_line: Callable[[str], None] | None = None) -> str | None:
        """Run a command of Barman's to its end; what went wrong, ``None``: nothing."""
        return self._run_script(words[0], scripts.barman(self._settings, *words), on_line or self._tell)

    def _run_script(self, name: str, command: str, on_line: Callable[[str], None]) -> str | None:
        finished = self._remote.run(self._job, self._base, command, on_line)
        if finished.exit_code == 0:
            return None
        return f"barman {name} ended with {finished.exit_code}: {last_words(finished.output)}"

    def _tell(self, line: str) -> None:
        self._job.progress(f"barman: {line.strip()}")


def put_back(data_dir: Path) -> None:
    """Undo what recover has done to a directory besides the copy: its settings of recovery and archiving are not ours.

    It sets ``archive_command = false`` in ``postgresql.conf`` and ``postgresql.auto.conf``, where it stays for good.

    :raises OSError: the disk did not take it.
    """
    for path in data_dir.glob(f"*{_ORIGIN}"):
        path.replace(path.with_name(path.name.removesuffix(_ORIGIN)))
    for path in (*data_dir.glob("backup_manifest.*"), data_dir / ".barman-recover.info", data_dir / "recovery.signal"):
        path.unlink(missing_ok=True)
