"""Emptying a data directory, and moving one aside. Refused wherever it might be somebody else's (safety.md 7)."""

import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hacore.errors import DataDirectoryError
from hacore.postgres.directory import is_empty
from hacore.postgres.files import read_if_there, sync_directory
from hacore.postgres.filling import Filling
from hacore.postgres.instance import Instance
from hacore.postgres.tablespaces import LINKS, links

logger = logging.getLogger(__name__)

_FAILED: Final = ".failed"
_TABLESPACE: Final = "PG_"
_MARK: Final = "cleaning"


def refuse_foreign(instance: Instance, system_id: str | None, *, is_remembered: bool = False) -> None:
    """Return where the directory may be emptied: it is empty, carries our mark, or is a whole one of this cluster.

    A tablespace's directory that has something of another data directory, too, as after ``pg_upgrade``, is not emptied in part: no tool
    fills one that is not empty, ``pg_basebackup`` neither, so that nothing would come of it.

    :param is_remembered: this node had data of that system identifier; then so does one of this version that has lost its control file.
    :raises DataDirectoryError: it may not; the message says why.
    """
    layout = instance.layout
    left = instance.processes.alive()
    if left:
        raise DataDirectoryError(f"{layout.data_dir}: processes {left} of it live, it is not emptied")
    if is_empty(layout.data_dir) or instance.mark.read() is not None:
        return
    _refuse_owner(instance, system_id, is_remembered=is_remembered)
    strange = sorted(str(entry) for space in _spaces(instance) for entry in _files(space) if not entry.name.startswith(_own(instance)))
    if strange:
        raise DataDirectoryError(
            f"{layout.data_dir}: its tablespaces lie beside those of another data directory ({', '.join(strange)}), and no tool fills"
            " a directory with content: move that away, or remove it if nobody needs it; nothing is emptied"
        )


def _refuse_owner(instance: Instance, system_id: str | None, *, is_remembered: bool) -> None:
    layout = instance.layout
    if not layout.version_file.is_file():
        raise DataDirectoryError(f"{layout.data_dir}: not empty and not a data directory, it is not emptied")
    try:
        found = instance.control.read(instance.programs).control.system_id
    except DataDirectoryError as error:
        if is_remembered and _has_lost_control(instance):
            return
        raise DataDirectoryError(f"{error}: whose the data are is not known, they are not emptied") from error
    if system_id is None or found != system_id:
        raise DataDirectoryError(f"{layout.data_dir}: system identifier {found} is of another cluster, want {system_id}, it is not emptied")


def _has_lost_control(instance: Instance) -> bool:
    """Tell whether a directory of this version has no control file, or one that is damaged; one that cannot be opened may be well."""
    layout = instance.layout
    try:
        is_ours = layout.version_file.read_text(errors="replace").strip() == str(instance.programs.major)
        layout.control_file.read_bytes()
    except FileNotFoundError:
        return is_ours
    except OSError:
        return False
    return is_ours


def clean(instance: Instance) -> None:
    """Empty the directory, with the targets of a linked pg_wal and of tablespaces. Ask :func:`refuse_foreign` first.

    :raises DataDirectoryError: it can neither be emptied nor moved aside.
    """
    _clean(instance, _spaces(instance))


def clean_attempt(instance: Instance) -> None:
    """Empty what an attempt at a first data directory has left, and of tablespaces only those that were filled for it.

    The links of a copy that is half made may lead into those of a live server.

    :raises DataDirectoryError: it can neither be emptied nor moved aside.
    """
    _clean(instance, [])


def _clean(instance: Instance, spaces: Iterable[Path]) -> None:
    data_dir, filling, own = instance.layout.data_dir, Filling(instance.layout.state_dir), _own(instance)
    if not is_empty(data_dir):
        logger.warning("emptying the data directory", extra={"directory": str(data_dir)})
        has_mark = instance.mark.read() is not None
        if not has_mark:
            instance.mark.set(_MARK)
        try:
            _empty(data_dir, [*spaces, *filling.read()], own)
        except OSError as error:
            logger.warning("cannot empty the data directory, moving it aside", extra={"error": str(error)})
            move_aside(instance)
        if not has_mark:
            instance.mark.clear()
    else:
        _empty_spaces(filling.read(), own)  # a tool may begin with them
    filling.forget()
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    instance.replaced()


def move_aside(instance: Instance) -> Path:
    """Rename the directory, and the target of a linked pg_wal, to their name with ``.failed`` at the end.

    Tablespaces that were filled for it are emptied, so that the next attempt can fill them; all others are left alone.

    :raises DataDirectoryError: it cannot be done.
    """
    data_dir, filling, own = instance.layout.data_dir, Filling(instance.layout.state_dir), _own(instance)
    aside = data_dir.with_name(data_dir.name + _FAILED)
    try:
        wal = data_dir / "pg_wal"
        target = wal.resolve()
        if wal.is_symlink() and target.is_dir():
            elsewhere = target.with_name(target.name + _FAILED)
            shutil.rmtree(elsewhere, ignore_errors=True)
            target.rename(elsewhere)
            wal.unlink()
            wal.symlink_to(elsewhere)
        if aside.exists():
            shutil.rmtree(aside)
        data_dir.rename(aside)
        sync_directory(aside.parent)
        _empty_spaces(filling.read(), own)
        filling.forget()
    except OSError as error:
        raise DataDirectoryError(f"{data_dir}: cannot be moved to {aside}: {error}") from error
    instance.replaced()
    return aside


def _own(instance: Instance) -> str:
    """Return how that of this data directory is called in a tablespace's: servers of several major versions may use one beside each other.

    Until it says of which version it is, it is of that of the programs: what fills it is of the cluster.
    """
    found = (read_if_there(instance.layout.version_file) or "").strip()
    return f"{_TABLESPACE}{found if found.isdigit() else instance.programs.major}_"


def _spaces(instance: Instance) -> list[Path]:
    data_dir = instance.layout.data_dir
    return [data_dir / LINKS / oid for oid in links(data_dir)]


def _files(space: Path) -> list[Path]:
    """Return PostgreSQL's own in the directory of a tablespace, of whatever version."""
    target = space.resolve()
    return [entry for entry in target.iterdir() if entry.name.startswith(_TABLESPACE)] if target.is_dir() else []


def _empty_spaces(spaces: Iterable[Path], own: str) -> None:
    """Remove what is this data directory's from the directories of tablespaces."""
    for entry in (entry for space in spaces for entry in _files(space) if entry.name.startswith(own)):
        _remove(entry)


def _empty(data_dir: Path, spaces: Iterable[Path], own: str) -> None:
    _empty_spaces(spaces, own)
    wal = data_dir / "pg_wal"
    for entry in wal.resolve().iterdir() if wal.is_symlink() and wal.is_dir() else ():
        _remove(entry)
    control = data_dir / "global" / "pg_control"
    control.unlink(missing_ok=True)  # first: half a directory is never taken for a whole one
    for entry in data_dir.iterdir():
        if entry.name != "lost+found":
            _remove(entry)
    sync_directory(data_dir)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        os.unlink(path)  # noqa: PTH108 - a link is removed, never what it points at
