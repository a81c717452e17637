"""Two ways to the same things: a Barman server, or object storage. The hooks do not know which it is."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hacore.interfaces import ArchiveSettings, ArchiveStatus, Job
from hacore.model.clock import Clock
from hacore_replica_barman import scripts
from hacore_replica_barman.cloud import CloudRepository, CloudTool, CloudWork
from hacore_replica_barman.remote import Remote
from hacore_replica_barman.repository import Repository
from hacore_replica_barman.settings import BarmanSettings
from hacore_replica_barman.work import Work

_MISSING: Final = 1  # of our programs, which have made sure
_CONFLICT: Final = 3
_SHELL: Final = "/bin/sh"
_PROGRAMS: Final = Path(__file__).with_name("programs")
_ARCHIVE_TIMEOUT: Final = "300"  # seconds: what is lost at most where nothing but the archive is left


class Ways:
    """The way that the settings say."""

    def __init__(self, settings: BarmanSettings) -> None:
        self._settings, self._remote = settings, Remote(settings)
        self._cloud = None if settings.cloud is None else CloudTool(settings, settings.cloud)

    def check(self) -> None:
        """Return where the programs are there that are needed on this node.

        :raises ConfigError: one is not.
        """
        if self._cloud is None:
            self._remote.words("true")
        else:
            self._cloud.command("backup-list")

    def archive_settings(self) -> ArchiveSettings:
        """Name the program that PostgreSQL has run; nothing is asked of anybody."""
        name = "archive.sh" if self._cloud is None else "cloud.sh"
        variables = self._variables() if self._cloud is None else self._cloud.program_variables()
        return ArchiveSettings(
            push=(_SHELL, str(_PROGRAMS / name), "push", "%p", "%f"),
            fetch=(_SHELL, str(_PROGRAMS / name), "fetch", "%f", "%p"),
            missing_codes=(_MISSING,),
            conflict_codes=(_CONFLICT,),
            environment=tuple(sorted(variables.items())),
            parameters=(("archive_timeout", _ARCHIVE_TIMEOUT),),
            push_limit_s=self._settings.push_timeout_s,
            fetch_limit_s=self._settings.fetch_timeout_s,
        )

    def look(self, clock: Clock, base: Mapping[str, str]) -> Repository | CloudRepository:
        """Open what is kept, for one question."""
        if self._cloud is not None:
            return CloudRepository(self._cloud, clock, base, self._settings.query_timeout_s)
        return self._repository(clock, base)

    def wal(self, clock: Clock, base: Mapping[str, str]) -> ArchiveStatus:
        """Return what WAL there is; ``barman-cloud-*`` cannot tell."""
        return self._repository(clock, base).wal() if self._cloud is None else ArchiveStatus()

    def work(self, clock: Clock, base: Mapping[str, str], job: Job) -> Work | CloudWork:
        """Begin long work."""
        tool = self._cloud
        if tool is None:
            return Work(self._settings, job, base, lambda: self._repository(clock, base))
        return CloudWork(tool, job, base, lambda: CloudRepository(tool, clock, base, self._settings.query_timeout_s))

    def _repository(self, clock: Clock, base: Mapping[str, str]) -> Repository:
        return Repository(self._remote, self._settings, clock, base)

    def _variables(self) -> dict[str, str]:
        settings = self._settings
        return {
            "PATH": self._remote.search_path,
            "HACORE_BARMAN_HOST": settings.host or "",
            "HACORE_BARMAN_USER": settings.user,
            "HACORE_BARMAN_PORT": "" if settings.port is None else f"-p {settings.port}",
            "HACORE_BARMAN_SERVER": shlex.quote(settings.server),
            "HACORE_BARMAN_COMMAND": scripts.barman(settings),
            "HACORE_BARMAN_DIRECTORY": shlex.quote(settings.backup_directory),
            "HACORE_BARMAN_WALS": shlex.quote(settings.wals_directory),
        }
