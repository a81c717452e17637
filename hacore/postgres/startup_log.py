"""What the server writes to standard output and error: kept from growing without limit. It appends, so that the file may be cut."""

import contextlib
import logging
import os
import shutil
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

LONGEST: Final = 32 << 20


def bound(log: Path) -> None:
    """Keep the words so far beside the file where there is space for them, and cut it in any case. Never raises: each turn does it."""
    try:
        if log.stat().st_size <= LONGEST:
            return
        _keep(log, log.with_suffix(".log.1"))
        os.truncate(log, 0)
    except FileNotFoundError:
        return
    except OSError as error:
        logger.warning("the log of the start cannot be cut", extra={"error": str(error)})


def _keep(log: Path, copy: Path) -> None:
    try:
        shutil.copyfile(log, copy)
    except OSError as error:
        logger.warning("the log of the start is cut without a copy", extra={"error": str(error)})
        with contextlib.suppress(OSError):
            copy.unlink()  # half of it takes the space that is missing
