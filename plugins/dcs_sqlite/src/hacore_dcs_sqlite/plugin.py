"""The hooks of the embedded store."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hacore.errors import ConfigError
from hacore.hookspecs import OpenDcs, Validate, hookimpl
from hacore.interfaces import Dcs, DcsCapabilities, SectionChecker
from hacore_dcs_sqlite.dcs import SqliteDcs
from hacore_dcs_sqlite.settings import SqliteSettings

_MOUNTS: Final = Path("/proc/self/mounts")
_NETWORK: Final = ("nfs", "cifs", "smb", "ceph", "9p", "gluster", "lustre", "gpfs", "ocfs2", "gfs2", "afs", "fuse.sshfs", "fuse.gluster")
_WANTED: Final = "want a file system of this machine: the store's locks do not hold over a network"
logger = logging.getLogger(__name__)


class SqlitePlugin:
    """Kind ``dcs``, section ``sqlite``: one file, shared by the agents of one machine."""

    def __init__(self, settings: SqliteSettings) -> None:
        self._settings = settings

    @staticmethod
    @hookimpl
    def hacore_config_schema() -> type[SectionChecker]:
        """Return the schema of the section."""
        from hacore_dcs_sqlite.schema import SqliteSchema  # noqa: PLC0415 - the agent does not load the schema's library

        return SqliteSchema

    @staticmethod
    @hookimpl
    def hacore_dcs_capabilities() -> DcsCapabilities:
        """Return what the store can do."""
        return DcsCapabilities(networked=False)

    @hookimpl
    def hacore_validate(self, request: Validate) -> Sequence[str]:  # noqa: ARG002 - nothing differs online
        """Check the directory and its file system."""
        directory = self._settings.path.parent
        if not directory.is_dir():
            return (f"sqlite.path: no directory {directory}, want one that is there: it is not created",)
        kind = _file_system(directory)
        if kind.startswith(_NETWORK):
            return (
                f"sqlite.path: {directory} is on {kind}, want a file system of this machine: the store's locks do not hold over a network",
            )
        return ()

    @hookimpl
    def hacore_open_dcs(self, request: OpenDcs) -> Dcs:
        """Open the file, creating it where it is missing."""
        path = self._settings.path
        if not path.parent.is_dir():
            raise ConfigError(f"sqlite.path: no directory {path.parent}, want one that is there: it is not created")
        kind = _file_system(path.parent)
        if kind.startswith(_NETWORK):
            logger.warning("the store is on a network file system, where its locks do not hold", extra={"path": str(path), "kind": kind})
        cluster = "/".join(part for part in f"{request.namespace}/{request.scope}".split("/") if part)
        session = SqliteDcs(path=path, cluster=cluster, member=request.member, clock=request.clock)
        try:
            session.snapshot(timeout_s=request.retry_timeout_s)
        except BaseException:
            session.close()
            raise
        return session


def _file_system(directory: Path) -> str:
    """Return the type of the file system that holds a directory."""
    wanted, best, kind = str(directory.resolve()), "", "unknown"
    for line in _MOUNTS.read_text().splitlines():
        _, mount, found, *_ = line.split(" ")
        holds = wanted == mount or wanted.startswith(mount.rstrip("/") + "/")
        if holds and len(mount) >= len(best):
            best, kind = mount, found
    return kind
