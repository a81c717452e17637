"""Lock files of sockets that a server was killed over before it had written them: PostgreSQL starts beside none that is empty.

It cannot know whose such a file is (``CreateLockFile`` in miscinit.c), and waits for a person to remove it.
"""

import logging
import re
import time
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

_NAMED: Final = re.compile(r"(/[^\"»«„“”「」|]*/\.s\.PGSQL\.\d+\.lock)")  # in the quotation marks of any language
_WRITTEN_AT_ONCE_S: Final = 0.5  # a server that is just starting writes it within a millisecond


def drop_empty(words: str, *, owner: int) -> bool:
    """Remove the file that a server names which did not start, where it is empty, not of just now, and of the user ``owner``."""
    found = _NAMED.search(words)
    if found is None:
        return False
    lock = Path(found[1])
    try:
        state = lock.stat()
        if state.st_size or state.st_uid != owner or time.time() - state.st_mtime < _WRITTEN_AT_ONCE_S:
            return False
        lock.unlink()
    except OSError:
        return False
    logger.warning("removed the empty lock file of a server that was killed while it started", extra={"file": str(lock)})
    return True
