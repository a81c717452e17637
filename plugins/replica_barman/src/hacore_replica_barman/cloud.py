"""Backups and WAL in object storage, by ``barman-cloud-*`` on the node itself: no server of Barman's is there."""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from hacore.errors import ConfigError, PluginUnavailableError
from hacore.hookspecs import ArchiveRequest, BackupSite, TablespacePlaces
from hacore.interfaces import ArchiveConflict, ArchiveEmpty, ArchiveOwned, Backup, BackupKind, Failed, Finished, Job, Verified
from hacore.model.clock import Clock
from hacore_replica_barman import wire
from hacore_replica_barman.remote import last_words
from hacore_replica_barman.settings import BarmanSettings, CloudSettings

_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_RETRY_S: Final = 5.0
_WHOLE: Final = ("PG_VERSION", "backup_label", "global/pg_control")
_NOT_EMPTY: Final = 1  # of barman-cloud-check-wal-archive
_HEADER_BYTES: Final = 40


class CloudTool:
    """The programs with their settings."""

    def __init__(self, settings: BarmanSettings, cloud: CloudSettings) -> None:
        self._server, self._cloud = settings.server, cloud

    @property
    def search_path(self) -> str:
        """The PATH in which the programs are found."""
        return _PATH if self._cloud.bin_dir is None else f"{self._cloud.bin_dir}:{_PATH}"

    def command(self, name: str, *words: str, options: tuple[str, ...] = ()) -> list[str]:
        """Return a command line; nothing secret stands in it.

        :raises ConfigError: there is no such program.
        """
        found = shutil.which(f"barman-cloud-{name}", path=self.search_path)
        if found is None:
            raise ConfigError(f"barman: no program barman-cloud-{name} in {self.search_path}, want its directory in cloud.bin_dir")
        return [found, *self.options(), *options, self._cloud.url, self._server, *words]

    def options(self) -> tuple[str, ...]:
        """Return what every program is told."""
        provider = ("--cloud-provider", self._cloud.provider)
        endpoint = () if self._cloud.endpoint_url is None else ("--endpoint-url", self._cloud.endpoint_url)
        return (*provider, *endpoint, *self._cloud.options)

    def variables(self) -> dict[str, str]:
        """Return what every program finds in its environment."""
        return {**dict(self._cloud.environment), "PATH": self.search_path, "TZ": "UTC"}  # times are listed without a zone

    def program_variables(self) -> dict[str, str]:
        """Return what the program finds that PostgreSQL runs."""
        return {
            **self.variables(),
            "HACORE_BARMAN_OPTIONS": shlex.join(self.options()),
            "HACORE_BARMAN_PUSH": shlex.join(self._cloud.push_options),
            "HACORE_BARMAN_URL": self._cloud.url,
            "HACORE_BARMAN_SERVER": self._server,
        }

    def ask(self, base: Mapping[str, str], argv: list[str], *, limit_s: float) -> tuple[int, str, str]:
        """Run a program that ends soon, and return its exit code, what it printed, and its last words.

        :raises PluginUnavailableError: it did not end in time, died, or could not be started.
        """
        name = Path(argv[0]).name
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env={**base, **self.variables()}, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise PluginUnavailableError(f"{name} cannot be started: {error}") from error
        try:
            printed, said = process.communicate(timeout=max(limit_s, 0))
        except subprocess.TimeoutExpired as error:
            raise PluginUnavailableError(f"{name} has not ended within {limit_s:.0f} s") from error
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        if process.returncode < 0:
            raise PluginUnavailableError(f"{name} died by signal {-process.returncode}")
        return process.returncode, printed.decode(errors="replace"), last_words(said.decode(errors="replace"))


class CloudRepository:
    """Asks within the time of one hook.

    :raises PluginUnavailableError: from every call: the storage does not answer, or its answer is not understood.
    """

    def __init__(self, tool: CloudTool, clock: Clock, base: Mapping[str, str], limit_s: float) -> None:
        self._tool, self._clock, self._base = tool, clock, base
        self._until = clock.now() + limit_s

    def backups(self) -> tuple[Backup, ...]:
        """Return every backup, the oldest first."""
        return self.listing().backups

    def listing(self) -> wire.Listing:
        """Return every backup and where its tablespaces were."""
        argv = self._tool.command("backup-list", options=("--format", "json"))
        code, text, words = self._ask(argv)
        if code != 0:
            raise PluginUnavailableError(f"barman-cloud-backup-list ended with {code}: {words}")
        return wire.read_cloud_listing(text)

    def owner(self, request: ArchiveRequest) -> ArchiveEmpty | ArchiveOwned | ArchiveConflict:
        """Tell whose it is: by the newest backup; without one by a segment that this node has, too."""
        backups = [one for one in self.backups() if one.system_id is not None]
        if backups:
            return wire.judged(backups[-1].system_id or "", request.identity.system_id, f"backup {backups[-1].id}")
        # A segment that we have as well tells; looked for first, because each program takes a second to start.
        wal = Path(request.data_dir) / "pg_wal"
        name = min((path.name for path in wal.glob("[0-9A-F]*") if wire.is_segment(path.name)), default=None)
        found = None if name is None else self._system_id_in(name)
        if found is not None:
            return wire.judged(found, request.identity.system_id, f"WAL segment {name}")
        code, _, words = self._ask(self._tool.command("check-wal-archive"))
        if code == 0:
            return ArchiveEmpty()
        if code != _NOT_EMPTY:
            raise PluginUnavailableError(f"barman-cloud-check-wal-archive ended with {code}: {words}")
        return ArchiveConflict(owner=f"somebody who has archived WAL and made no backup: {words}")

    def _system_id_in(self, segment: str) -> str | None:
        with tempfile.TemporaryDirectory(prefix="hacore-barman-") as directory:
            path = Path(directory) / segment
            code, _, words = self._ask(self._tool.command("wal-restore", segment, str(path), options=("-v",)))
            if code == 0 and path.exists():
                return wire.system_id_of(path.read_bytes()[:_HEADER_BYTES].hex())
        if code == 1 and "does not exist" in words and "WAL file" in words:
            return None
        raise PluginUnavailableError(f"barman-cloud-wal-restore ended with {code}: {words}")

    def _ask(self, argv: list[str]) -> tuple[int, str, str]:
        return self._tool.ask(self._base, argv, limit_s=self._until - self._clock.now())


class CloudWork:
    """One piece of work.

    :param look: opens the repository anew for each question: each has its own limit.
    """

    def __init__(self, tool: CloudTool, job: Job, base: Mapping[str, str], look: Callable[[], CloudRepository]) -> None:
        self._tool, self._job, self._base, self._look = tool, job, base, look

    def restore(self, backup_id: str, data_dir: str, tablespaces: TablespacePlaces) -> Failed | None:
        """Put the files of a backup into a directory; ``None``: they are there.

        :raises HacoreError: it is not known where its tablespaces would go, or one cannot go there.
        """
        self._job.progress(f"barman-cloud: restores {backup_id}")
        ended = self._run("restore", backup_id, data_dir, options=self._look().listing().moves(backup_id, tablespaces))
        if ended is not None:
            return Failed(reason=ended, retry_after_s=_RETRY_S)
        lacking = [name for name in _WHOLE if not (Path(data_dir) / name).exists()]
        return Failed(reason=f"barman-cloud-restore said that all is well, and there is no {lacking[0]}") if lacking else None

    def make(self, site: BackupSite, _: BackupKind) -> Backup | Failed:
        """Make a backup of the server of this node."""
        if site.socket_dir is None:
            return Failed(reason="barman-cloud-backup needs the socket of a server that runs")
        name = f"hacore-{uuid.uuid4()}"
        place = ("-h", site.socket_dir, "-p", str(site.port), "-U", site.superuser, "-d", "postgres", "--immediate-checkpoint")
        ended = self._run("backup", options=(*place, "--name", name))
        if ended is not None:
            return Failed(reason=ended)
        made = self._look().listing().named.get(name)
        return made or Failed(reason="barman-cloud-backup said that all is well, and the backup is not in the list")

    def verify(self, _: Backup) -> Verified | Failed | None:
        """``barman-cloud-*`` have no check."""
        return None

    def expire(self, remove: tuple[str, ...], kept: tuple[Backup, ...]) -> Failed | None:
        """Remove the named backups one by one, and with each the WAL that nothing needs."""
        before = {one.id: one for one in self._look().backups()}
        gone = [one.id for one in kept if one.id not in before]
        if gone:
            return Failed(reason=f"{', '.join(gone)} should be kept and is not in the list: nothing is removed")
        for name in reversed([name for name in before if name in remove]):
            ended = self._run("backup-delete", options=("-b", name))
            if ended is not None:
                return Failed(reason=ended)
        left = {one.id for one in self._look().backups()}
        still, lost = sorted(left & set(remove)), sorted(set(before) - left - set(remove))
        if still or lost:
            return Failed(reason=f"barman-cloud-backup-delete said that all is well, still there: {still}, gone besides: {lost}")
        return None

    def _run(self, name: str, *words: str, options: tuple[str, ...] = ()) -> str | None:
        try:
            finished: Finished = self._job.run(
                self._tool.command(name, *words, options=("-v", *options)),
                environment={**self._base, **self._tool.variables()},
                on_line=self._tell,
            )
        except OSError as error:
            raise PluginUnavailableError(f"barman-cloud-{name} cannot be started: {error}") from error
        if finished.exit_code == 0:
            return None
        return f"barman-cloud-{name} ended with {finished.exit_code}: {last_words(finished.output)}"

    def _tell(self, line: str) -> None:
        self._job.progress(f"barman-cloud: {line.strip()}")
