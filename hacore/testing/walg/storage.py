"""Where objects are kept: below a directory, or below a prefix of an S3 bucket. Names have slashes."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

from hacore.testing.walg.settings import Settings, WalgError

_PREFIXES: Final = ("WALG_FILE_PREFIX", "WALG_S3_PREFIX", "WALG_SSH_PREFIX", "WALG_GS_PREFIX", "WALG_AZ_PREFIX", "WALG_SWIFT_PREFIX")


class Storage(Protocol):
    """What every place of objects can do.

    :raises WalgError: from every call: it cannot be read or written.
    """

    def names(self, start: str) -> list[str]:
        """Return the names of all objects that begin like this."""

    def read(self, name: str) -> bytes | None:
        """Return what an object has in it; ``None``: there is no such object."""

    def write(self, name: str, content: bytes) -> None:
        """Make an object, in the place of one of the same name."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects."""

    def find(self, name: str, endings: Iterable[str]) -> str | None:
        """Return the first of these endings with which there is an object; ``None``: with none."""


class DirectoryStorage:
    """Objects are files."""

    def __init__(self, prefix: str) -> None:
        self._root = Path(prefix.removeprefix("file://"))
        if not self._root.is_dir():
            raise WalgError(f"folder {self._root}: no such directory")

    def names(self, start: str) -> list[str]:
        """Return the names of all objects that begin like this."""
        folder = self._root / start.rpartition("/")[0]
        walk = os.walk(folder, onerror=_unreadable)
        found = [os.path.relpath(os.path.join(top, file), self._root) for top, _, files in walk for file in files]  # noqa: PTH118 - quick
        return sorted(name for name in found if name.startswith(start) and not name.endswith(".tmp"))

    def read(self, name: str) -> bytes | None:
        """Return what an object has in it."""
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise WalgError(f"{self._root / name}: {error.strerror}") from error

    def write(self, name: str, content: bytes) -> None:
        """Make an object: it is there whole, or not at all."""
        path = self._root / name
        draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(content)
            draft.replace(path)
        except OSError as error:
            raise WalgError(f"{path}: {error.strerror}") from error

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects, and directories that are empty then."""
        for name in names:
            path = self._root / name
            try:
                path.unlink(missing_ok=True)
                while path.parent != self._root and not any(path.parent.iterdir()):
                    path = path.parent
                    path.rmdir()
            except OSError as error:
                raise WalgError(f"{path}: {error.strerror}") from error

    def find(self, name: str, endings: Iterable[str]) -> str | None:
        """Return the first of these endings with which there is an object."""
        return next((ending for ending in endings if (self._root / f"{name}{ending}").exists()), None)


def _unreadable(error: OSError) -> None:
    """Take a directory that is not there for one without anything in it, and nothing else."""
    if not isinstance(error, FileNotFoundError):
        raise WalgError(f"{error.filename}: {error.strerror}") from error


def open_storage(settings: Settings) -> Storage:
    """Open the one storage that the settings name."""
    configured = [name for name in _PREFIXES if settings.get(name)]
    if not configured:
        raise WalgError("failed to configure storage: no storage is configured")
    if len(configured) > 1:
        raise WalgError(f"failed to configure storage: more than one is configured: {', '.join(configured)}")
    (name,) = configured
    if name == "WALG_FILE_PREFIX":
        return DirectoryStorage(settings[name])
    if name == "WALG_S3_PREFIX":
        from hacore.testing.walg.s3 import S3Storage  # noqa: PLC0415 - with a heavy library

        return S3Storage(settings)
    raise WalgError(f"{name}: the stand-in of hacore.testing has directories and S3 only")
