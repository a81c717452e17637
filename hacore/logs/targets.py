"""Where lines go: standard error, or a file that is rotated by its size."""

import logging
import logging.handlers
import os
from pathlib import Path
from typing import IO, Final

from hacore.config.settings import LogSettings
from hacore.errors import ConfigError

FILE_NAME: Final = "patroni.log"


class _RotatingFile(logging.handlers.RotatingFileHandler):
    """A rotated file whose permissions do not depend on the umask where they are configured."""

    def __init__(self, path: Path, settings: LogSettings) -> None:
        self._permissions = settings.mode
        # Without old files to keep there is nothing to rotate into.
        size = settings.file_size if settings.file_num else 0
        super().__init__(path, maxBytes=size, backupCount=settings.file_num, encoding="utf-8", errors="backslashreplace")

    def _open(self) -> IO[str]:  # type: ignore[override]
        stream = super()._open()
        if self._permissions is not None:
            os.fchmod(stream.fileno(), self._permissions)
        return stream


def open_target(settings: LogSettings, file_name: str) -> logging.Handler:
    """Open what the settings name.

    :raises ConfigError: the directory or the file cannot be used.
    """
    if settings.dir is None:
        return logging.StreamHandler()
    path = Path(settings.dir) / file_name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _RotatingFile(path, settings)
    except OSError as error:
        raise ConfigError(f"log.dir: {path}: {error.strerror}, want a directory that can be written") from error
