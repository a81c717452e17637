"""Kind ``backup``: base backups and their restore."""
# ruff: noqa: ARG002
# A specification uses no argument. Its ``return None`` says to type checkers that the hook is optional (``any_kind``).

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hacore.errors import DataDirectoryError
from hacore.hookspecs.any_kind import AnyPlugin, PluginContext
from hacore.hookspecs.marks import hookspec
from hacore.interfaces import Backup, BackupKind, Expired, Failed, Job, Restored, Verified


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSite:
    """Where a backup tool works: part of each request of this kind."""

    context: PluginContext
    system_id: str | None = None  # of this node's cluster; ``None``: not known, as with a restore into nothing
    major_version: int | None = None
    data_dir: str | None = None
    socket_dir: str | None = None  # directory of the server's Unix socket; ``None``: no server runs here
    port: int = 5432
    superuser: str = "postgres"
    programs: Mapping[str, str] = field(default_factory=dict)  # path of each server program by its usual name
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # for child processes: nothing else is passed on


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRequest:
    """Make one backup of the server of this node."""

    site: BackupSite
    kind: BackupKind = BackupKind.AUTO  # ``FULL``: nothing of an earlier backup is used, which may be bad
    is_primary: bool = True  # the server of this node
    labels: Mapping[str, str] = field(default_factory=dict)  # to be kept with the backup: ``scope``, ``member``, ``token``, ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ListBackups:
    """List what is in the repository."""

    site: BackupSite


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyBackup:
    """Check one backup by the tool's own means: what it stores, its checksums, the WAL that goes with it."""

    site: BackupSite
    backup: Backup


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireBackups:
    """Remove backups, and the WAL that none of the others needs. The core has chosen them."""

    site: BackupSite
    remove: tuple[str, ...]  # ids; nothing else is removed
    kept: tuple[Backup, ...]  # what stays, oldest first


def _nobody(_: Collection[str]) -> None:
    """Nobody has to hear of the directories."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TablespacePlaces:
    """Where the tablespaces of a backup go."""

    moved: Mapping[str, str] = field(default_factory=dict)  # directory by the directory that the backup was made of
    below: str | None = None  # all others go below this directory, each into one of its own name; ``None``: to where they were
    heard: Callable[[Collection[str]], None] = field(default=_nobody, compare=False, repr=False)  # the core's: of which a tool gets

    def of(self, found: Mapping[str, str]) -> dict[str, str]:
        """Return the directory of each tablespace; called before the tool is.

        :param found: the directory that the backup was made of, by a name.
        :raises DataDirectoryError: one has content: it may be a live server's.
        """
        places = {name: self.moved.get(was) or (was if self.below is None else f"{self.below}/{name}") for name, was in found.items()}
        for name, place in places.items():
            path = Path(place)
            if path.exists() and any(path.iterdir()):
                raise DataDirectoryError(f"{place} is not empty: tablespace {name} cannot be restored there")
        self.heard(places.values())
        return places


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """Put the files of one backup into an empty directory."""

    site: BackupSite
    backup: Backup
    data_dir: str
    tablespaces: TablespacePlaces = field(default_factory=TablespacePlaces)  # ``of(found)``: where each goes that the backup has


class BackupPlugin(AnyPlugin, Protocol):
    """Kind ``backup``: one, ``backup: {plugin: NAME}``; another cluster's where a bootstrap or restore says so.

    When and where a backup is made, which are kept, which one a restore takes and everything about recovery is the core's; the
    plugin carries out. Long work runs programs by ``job.run`` and reports by ``job.progress``.
    """

    @hookspec(firstresult=True)
    def hacore_list_backups(self, request: ListBackups) -> Sequence[Backup] | None:
        """Return every backup that the repository has, those that run or have failed included where the tool tells.

        May block for 10 s. An empty sequence means that there are none: what could not be read must raise.

        :raises PluginUnavailableError: the repository does not answer, or its answer is not understood.
        """

    @hookspec(firstresult=True)
    def hacore_backup(self, request: BackupRequest, job: Job) -> Backup | Failed | None:
        """Make a backup, and return it once everything but the WAL in which it ends is in the repository.

        That WAL is the core's: it switches the segment on the primary, and the backup counts once the segment is archived.
        Called in a thread of its own, without a limit but the schedule's ``max_duration``. A tool with a server of its own is told to
        begin and asked until it has ended.

        :raises JobCancelledError: let it pass when ``job`` raises it; what is half made must not be listed as good.
        """

    @hookspec(firstresult=True)
    def hacore_restore(self, request: RestoreRequest, job: Job) -> Restored | Failed | None:
        """Put the files of a backup into the empty directory ``data_dir``, complete and with its ``backup_label``.

        Called in the thread of a job, without a limit. Signal files and recovery settings that the tool writes are removed by the core.
        Tablespaces go where ``request.tablespaces.of`` says, and links in ``pg_tblspc`` lead there; a tool that cannot do that fails
        before it has written anything, for the directories may be those of a live server.

        :returns: ``Failed``: it is not restored, which alone says nothing of the backup: network, disk or settings may be at fault. What
            was restored the core looks into itself.
        :raises JobCancelledError: let it pass when ``job`` raises it.
        """

    @hookspec(firstresult=True)
    def hacore_verify_backup(self, request: VerifyBackup, job: Job) -> Verified | Failed | None:
        """Check a backup without restoring it; the core itself can restore one into a scratch directory and start it.

        :returns: ``Failed``: the tool has looked, and the backup is no good: in doubt from then on; ``None``, or no such hook: the tool has
            no check of its own.
        :raises PluginUnavailableError: the tool came to no verdict: the repository does not answer, or a program ended without having said
            what is wrong with the backup. That says nothing of it, nor does any other error; the check is made again.
        """
        return None

    @hookspec(firstresult=True)
    def hacore_expire_backups(self, request: ExpireBackups, job: Job) -> Expired | Failed | None:
        """Remove the named backups and the WAL that nobody needs any more.

        :returns: ``None``, or no such hook: the tool cannot; what shall go is only said.
        :raises PluginUnavailableError: the repository does not answer.
        """
        return None
