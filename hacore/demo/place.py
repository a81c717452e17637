"""Whether and how the demonstration can run on this machine: which PostgreSQL, as which user. It starts no server and changes nothing."""

import os
import pwd
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from hacore.errors import HacoreError
from hacore.testing.servers import ServerMissingError, locate
from hacore.testing.workdir import SERVER_USER

_PROGRAMS: Final = ("postgres", "initdb", "pg_basebackup", "pg_rewind", "pg_controldata")
_OLDEST: Final = 13
_TRIAL_S: Final = 60.0
_STORES: Final = "hacore.dcs"
_STORE: Final = "sqlite"
_TRIAL: Final = f"import hacore.daemon; from importlib.metadata import entry_points; entry_points(group={_STORES!r})[{_STORE!r}].load()"


class DemoError(HacoreError):
    """The demonstration cannot run here, or did not go as it must."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the nodes are run with."""

    directory: Path  # of PostgreSQL's programs
    version: str
    origin: str
    user: str | None  # ``None``: as ourselves

    def __str__(self) -> str:
        who = pwd.getpwuid(os.geteuid()).pw_name if self.user is None else self.user
        return f"PostgreSQL {self.version} ({self.origin}), servers run as user {who}"


def find_place() -> Place:
    """Look for a PostgreSQL, and for a user who may run it and us.

    :raises DemoError: there is none; the message says what would help.
    """
    if not entry_points(group=_STORES, name=_STORE):
        raise DemoError("the embedded store is not installed here, want pip install hacore-dcs-sqlite (or 'hacore[demo]')")
    directory, origin = find_postgresql()
    user = choose_user(directory)
    return Place(directory=directory, version=_version_of(directory, user), origin=origin, user=user)


def find_postgresql() -> tuple[Path, str]:
    """Find the newest PostgreSQL of the distribution, else the one on PATH, else the one of the wheel. Answers where, and whence."""
    on_path = shutil.which("postgres")
    if _is_installed("postgresql"):
        found = locate("postgresql")
        return found.directory, found.origin
    if on_path is not None:
        directory = Path(on_path).resolve().parent
        if all((directory / name).exists() for name in _PROGRAMS):
            return directory, "PATH"
    for kind in ("postgresql-18", "postgresql-16"):
        if _is_installed(kind):
            found = locate(kind)
            return found.directory, found.origin
    raise DemoError(
        "no PostgreSQL server here, want one below /usr/lib/postgresql or on PATH (apt install postgresql), or pip install 'hacore[demo]'"
    )


def choose_user(directory: Path) -> str | None:
    """Choose who runs the servers: ourselves, or for root, as whom PostgreSQL refuses to run, somebody with fewer rights.

    :raises DemoError: nobody may.
    """
    if os.geteuid() != 0:
        candidates: list[str | None] = [None]
    else:
        named = (SERVER_USER, os.environ.get("SUDO_USER"), "nobody")
        candidates = [name for name in dict.fromkeys(named) if name and name != "root" and _is_known(name)]
    reasons = []
    for user in candidates:
        why_not = why_not_as(user, directory)
        if why_not is None:
            return user
        reasons.append(f"  {user or 'you'}: {why_not}")
    told = "\n".join(reasons)
    if os.geteuid() != 0:
        raise DemoError(f"the nodes cannot be run:\n{told}")
    raise DemoError(
        f"PostgreSQL refuses to run as root, and no other user may use what the nodes need:\n{told}\n"
        "want the virtual environment where such a user may read and execute it (not below /root), or a start as an ordinary user"
    )


def why_not_as(user: str | None, directory: Path) -> str | None:
    """Try as a user what every node does first: run our Python with our packages and the embedded store, and run PostgreSQL."""
    for command in ([sys.executable, "-P", "-c", _TRIAL], [str(directory / "postgres"), "--version"]):
        try:
            answer = _as_user(user, command)
        except OSError as error:
            return f"may not run {command[0]}: {error.strerror or error}"
        if answer.returncode != 0:
            said = (answer.stderr.strip().splitlines() or ["no word"])[-1]
            return f"{command[0]} fails with exit code {answer.returncode}: {said}"
    return None


def _as_user(user: str | None, command: list[str]) -> subprocess.CompletedProcess[str]:
    entry = None if user is None else pwd.getpwnam(user)
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=_TRIAL_S,
        check=False,
        cwd="/",
        user=entry and entry.pw_uid,
        group=entry and entry.pw_gid,
        extra_groups=None if entry is None else [],
    )


def _version_of(directory: Path, user: str | None) -> str:
    text = _as_user(user, [str(directory / "postgres"), "--version"]).stdout
    found = re.search(r"(\d+)[.\d]*", text)
    if found is None or int(found.group(1)) < _OLDEST:
        raise DemoError(f"{directory}: {text.strip()!r}, want PostgreSQL {_OLDEST} or later")
    return found.group()


def _is_installed(kind: str) -> bool:
    try:
        locate(kind)
    except ServerMissingError:
        return False
    return True


def _is_known(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
