"""A directory for real servers: short path (sockets), owned by the unprivileged user, removed at the end unless it is to be kept."""

import contextlib
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

SERVER_USER: Final = "postgres"
_BULK: Final = ("base", "pg_wal")  # of a data directory: what no reader of a failure looks at


@dataclass(slots=True)
class WorkDirectory:
    """A place that is removed at the end of its block."""

    path: Path
    keep: bool = False


def server_user() -> str | None:
    """The user as whom servers are started: PostgreSQL refuses to run as root. ``None``: as ourselves."""
    return SERVER_USER if os.geteuid() == 0 else None


def owner_of(directory: Path) -> tuple[int, int] | None:
    """The user and group to whom a directory was given, as whom what works in it is started. ``None``: as ourselves."""
    if os.geteuid() != 0:
        return None
    found = directory.stat()
    if found.st_uid:
        return found.st_uid, found.st_gid
    entry = pwd.getpwnam(SERVER_USER)
    return entry.pw_uid, entry.pw_gid


def give_away(path: Path, user: str | None = None) -> None:
    """Make the unprivileged user, or this one, the owner of a file or directory, where we are not that user anyway."""
    user = user or server_user()
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


class Session(Protocol):
    """What runs tests, as pytest does."""

    testsfailed: int


@contextlib.contextmanager
def work_directory(prefix: str = "hacore-", *, session: Session | None = None) -> Iterator[WorkDirectory]:
    """Make a directory, remove it at the end; one with ``keep`` stays, for its logs and without the bulk of data directories.

    :param session: keeps it, too, where one of its tests fails meanwhile: a fixture is not told by an exception.
    """
    failed_before = session.testsfailed if session is not None else 0
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=os.environ.get("HACORE_TEST_LOGS", "/tmp")))
    path.chmod(0o755)
    give_away(path)
    directory = WorkDirectory(path)
    try:
        yield directory
    except BaseException:
        directory.keep = True
        raise
    finally:
        directory.keep |= session is not None and session.testsfailed > failed_before
        unwanted = [found for name in _BULK for found in path.rglob(name)] if directory.keep else [path]
        for found in unwanted:
            shutil.rmtree(found, ignore_errors=True)
