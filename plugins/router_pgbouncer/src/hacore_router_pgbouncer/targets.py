"""The file that pgbouncer.ini includes: where each database leads, and under which token that was said. Pure but for the file."""

import os
import pwd
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from hacore.errors import PluginUnavailableError
from hacore.interfaces import Endpoint, RoutingState
from hacore_router_pgbouncer.settings import Database, PgbouncerSettings

_HEAD: Final = ";; Written by hacore whenever another member leads: do not edit. pgbouncer.ini includes it.\n"
_UNDER: Final = ";; token "
_FIND_UNDER: Final = re.compile(rf"^{_UNDER}(\d+)$", re.MULTILINE)
_MODE: Final = 0o640
_NOBODY: Final = ("127.0.0.1", 1)  # a database without a target would be one that PgBouncer does not know, and forget the settings of


def render(settings: PgbouncerSettings, state: RoutingState) -> str:
    """Return the text of the file for a state."""
    leader = _place([state.leader] if state.leader else [])
    standbys = _place(state.standbys) if state.standbys else leader
    lines = [*_lines(settings.databases, leader), *_lines(settings.standby_databases, standbys)]
    return f"{_HEAD}{_UNDER}{state.token}\n[databases]\n" + "".join(lines)


def with_standbys(settings: PgbouncerSettings, state: RoutingState, there: str) -> str:
    """Return the text that is there, with the standbys of a state that names some. Where writes went last stands as it is."""
    if not state.standbys:
        return there
    names = {one.name for one in settings.standby_databases}
    kept = [line for line in there.splitlines(keepends=True) if line.split(" ", 1)[0] not in names]
    return "".join((*kept, *_lines(settings.standby_databases, _place(state.standbys))))


def token_of(text: str) -> int:
    """Return under which token a file was written; 0: it does not say."""
    found = _FIND_UNDER.search(text)
    return int(found[1]) if found else 0


def read(path: Path) -> str:
    """Return the text of the file, empty where there is none. One that is damaged differs from what is wanted, and is replaced.

    :raises PluginUnavailableError: it cannot be read.
    """
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise PluginUnavailableError(f"{path}: {error}") from error


def write(path: Path, text: str) -> None:
    """Replace the file as a whole: PgBouncer never reads half of it. Who may read it stays: ``options`` may hold a password.

    :raises PluginUnavailableError: it cannot be written, or not so that those may read it who could before.
    """
    arriving = path.with_name(f".{path.name}.new")
    try:
        arriving.unlink(missing_ok=True)
        arriving.touch(0o600, exist_ok=False)
        _let_in(arriving, path)
        arriving.write_text(text)
        arriving.replace(path)
    except OSError as error:
        raise PluginUnavailableError(f"{path}: {error.strerror}") from error


def _let_in(arriving: Path, path: Path) -> None:
    """Give the new file owner, group and mode of the one that is there; one that is the first is read by us and our group.

    The owner is the agent's user where that may give nothing away: PgBouncer then reads it through the group, or as everybody.
    """
    try:
        there = path.stat()
    except FileNotFoundError:
        arriving.chmod(_MODE)
        return
    mode = stat.S_IMODE(there.st_mode)
    if there.st_uid != arriving.stat().st_uid:
        try:
            os.chown(arriving, there.st_uid, -1)
        except PermissionError as error:
            if not _may_read(there.st_uid, there.st_gid, mode):
                raise PluginUnavailableError(f"{path}: its owner {there.st_uid} could not read it then, want it in the group") from error
    if there.st_gid != arriving.stat().st_gid:
        try:
            os.chown(arriving, -1, there.st_gid)
        except PermissionError as error:
            if not mode & stat.S_IROTH:
                raise PluginUnavailableError(f"{path}: want the agent's user in its group {there.st_gid}, or the file in ours") from error
    arriving.chmod(mode)


def _may_read(user: int, group: int, mode: int) -> bool:
    """Tell whether a user who is not the owner may read a file."""
    if user == 0:
        return True
    try:
        entry = pwd.getpwuid(user)
    except KeyError:
        return bool(mode & stat.S_IROTH)
    is_in_group = group in os.getgrouplist(entry.pw_name, entry.pw_gid)
    return bool(mode & (stat.S_IRGRP if is_in_group else stat.S_IROTH))


def _lines(databases: Iterable[Database], place: tuple[str, int]) -> Iterator[str]:
    host, port = place
    for one in databases:
        yield f"{one.name} = host={host} port={port} dbname={one.dbname}{' ' + one.options if one.options else ''}\n"


def _place(endpoints: Iterable[Endpoint]) -> tuple[str, int]:
    """Return where to: several hosts take turns (PgBouncer 1.17), all with the port of the first, for a line has only one."""
    found = [one for one in endpoints if one.host]
    if not found:
        return _NOBODY
    port = found[0].port
    return ",".join(one.host for one in found if one.port == port), port
