"""Kind ``archive``: where the write-ahead log is kept."""
# ruff: noqa: ARG002
# A specification uses no argument. Its ``return None`` says to type checkers that the hook is optional (``any_kind``).

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from hacore.hookspecs.any_kind import AnyPlugin, PluginContext
from hacore.hookspecs.marks import hookspec
from hacore.interfaces import ArchiveConflict, ArchiveEmpty, ArchiveOwned, ArchiveSettings, ArchiveStatus, Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveRequest:
    """Where this node's PostgreSQL is, and whose WAL it writes."""

    context: PluginContext
    identity: Identity
    data_dir: str
    socket_dir: str | None = None  # directory of the server's Unix socket
    port: int = 5432
    superuser: str = "postgres"
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # for child processes of the hook: nothing else is passed on


class ArchivePlugin(AnyPlugin, Protocol):
    """Kind ``archive``: at most one, ``archive: NAME``. It says by which programs WAL is pushed and fetched; PostgreSQL runs them.

    The core wraps both in a small program of its own that knows what the server is at: in a restore, "broken" is tried again and then ends
    the recovery visibly instead of promoting a shortened database; on a standby it never ends the server (integrations reference 1.2).
    """

    @hookspec(firstresult=True)
    def hacore_archive_settings(self, request: ArchiveRequest) -> ArchiveSettings:
        """Return the programs and settings by which WAL is pushed and fetched.

        Called before the server's configuration is written; quick, without asking the archive: a store that is away must not keep
        PostgreSQL from starting. May block for 1 s.
        """

    @hookspec(firstresult=True)
    def hacore_archive_identity(self, request: ArchiveRequest) -> ArchiveEmpty | ArchiveOwned | ArchiveConflict | None:
        """Tell whose WAL and backups are in the archive.

        Called on the leader before archiving begins, and after a bootstrap, restore or upgrade; may block for 10 s. After a conflict
        the core leaves ``archive_command`` at a command that fails, so that nothing is lost, and says so until it is mended.

        :returns: ``None``, or no such hook: it cannot tell, archiving begins.
        :raises PluginUnavailableError: the archive does not answer: archiving begins where this cluster has archived there before.
        """
        return None

    @hookspec(firstresult=True)
    def hacore_archive_status(self, request: ArchiveRequest) -> ArchiveStatus | None:
        """Tell what the archive holds, for people and metrics.

        Called on the leader, at most once a minute; may block for 10 s.

        :raises PluginUnavailableError: the archive does not answer.
        """
        return None
