"""Which archives this node knows to be its cluster's, on its disk. An archive is told from another by all that leads to it."""

import hashlib
import json
from pathlib import Path
from typing import Final

from hacore.errors import DataDirectoryError
from hacore.hookspecs import ArchiveRequest
from hacore.interfaces import ArchiveSettings
from hacore.postgres.files import read_if_there, remove_durably, write_durably

NAME: Final = "archives.json"
_KEPT: Final = 20


def fingerprint(name: str, request: ArchiveRequest, settings: ArchiveSettings) -> str:
    """Return what tells one archive of one cluster from every other: also its bucket, which may stand in the environment."""
    identity = request.identity
    whose = (identity.system_id, identity.major_version, identity.scope)
    where = (name, settings.push, settings.fetch, settings.library, settings.environment)
    return hashlib.sha256(repr((whose, where)).encode()).hexdigest()


class ArchiveMemory:
    """The newest few fingerprints that were found to be this cluster's."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / NAME
        self._known = _read(self._path)

    def knows(self, found: str) -> bool:
        """Tell whether this archive is known to be this cluster's."""
        return found in self._known

    def clear(self) -> None:
        """Forget all of them.

        :raises DataDirectoryError: the disk did not take it.
        """
        self._known = ()
        try:
            remove_durably(self._path)
        except OSError as error:
            raise DataDirectoryError(f"{self._path}: {error}") from error

    def keep(self, found: str) -> None:
        """Remember an archive.

        :raises DataDirectoryError: the disk did not take it.
        """
        self._known = (*(one for one in self._known if one != found), found)[-_KEPT:]
        try:
            write_durably(self._path, json.dumps(self._known))
        except OSError as error:
            raise DataDirectoryError(f"{self._path}: {error}") from error


def _read(path: Path) -> tuple[str, ...]:
    """Read them; a file that cannot be understood is as good as none: the archive is asked again."""
    try:
        found = json.loads(read_if_there(path) or "[]")
    except ValueError:
        return ()
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()
