"""Where the guard of a data directory keeps its files: beside the data directory, never inside.

Inside, a base backup would copy them to another node and a rewind or a re-creation would delete them under a running guard.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Final

SOCKET_NAME: Final = "guard.sock"
LOCK_NAME: Final = "guard.lock"
_LONGEST_ADDRESS: Final = 107  # bytes of sun_path without the final zero


def state_dir_of(data_dir: str) -> str:
    """The state directory of a data directory: its path with ``.hacore`` at the end."""
    return os.path.normpath(os.path.abspath(data_dir)) + ".hacore"


def ensure_state_dir(path: str) -> None:
    """Create the state directory, for its owner alone; one that belongs to somebody else is refused.

    :raises OSError: it cannot be created, or it is no directory of ours.
    """
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    found = os.stat(path)
    if found.st_uid != os.geteuid():
        raise PermissionError(f"{path}: belongs to user id {found.st_uid}, want {os.geteuid()}")
    os.chmod(path, 0o700)


@contextlib.contextmanager
def address_of(path: str) -> Iterator[str]:
    """A name of this socket that is short enough for an address; longer ones are reached through a descriptor of their directory."""
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield path
        return
    directory, name = os.path.split(path)
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)
