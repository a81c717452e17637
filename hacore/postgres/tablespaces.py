"""Where the tablespaces lie of a data directory that a tool has filled.

A server that begins with a ``backup_label`` makes the links in ``pg_tblspc`` anew, as the file ``tablespace_map`` beside it says,
whatever the tool has made of them (PostgreSQL documentation, "Making a Base Backup Using the Low Level API"). It knows no tool.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from hacore.errors import DataDirectoryError
from hacore.postgres.files import read_if_there, write_durably

LINKS: Final = "pg_tblspc"
_MAP: Final = "tablespace_map"
_ESCAPE: Final = "\\"
_ESCAPED: Final = frozenset("\n\r\\")


def links(data_dir: Path) -> dict[str, str]:
    """Return where the links lead, by the tablespace's number."""
    directory = data_dir / LINKS
    found = directory.iterdir() if directory.is_dir() else ()
    return {link.name: str(link.readlink()) for link in found if link.is_symlink()}


def settled(data_dir: Path) -> dict[str, str]:
    """Let the map say what the links say, for that is where the tool has put the files; return where each tablespace lies.

    :raises DataDirectoryError: a tablespace is nowhere.
    """
    path = data_dir / _MAP
    text = read_if_there(path)
    mapped = read_map(text or "")
    found = {**mapped, **links(data_dir)}
    if text is not None and found != mapped:
        write_durably(path, map_text(found))
    lost = sorted(f"{oid} ({place})" for oid, place in found.items() if not Path(place).is_dir())
    if lost:
        raise DataDirectoryError(f"{data_dir}: tablespaces lead nowhere: {', '.join(lost)}")
    return found


def refuse_outside(found: Mapping[str, str], place: Path) -> None:
    """Return where all tablespaces lie below a directory.

    :raises DataDirectoryError: one does not.
    """
    outside = sorted(f"{oid} ({where})" for oid, where in found.items() if not Path(where).resolve().is_relative_to(place.resolve()))
    if outside:
        raise DataDirectoryError(f"the tool has not put these tablespaces below {place}, where they belong: {', '.join(outside)}")


def read_map(text: str) -> dict[str, str]:
    """Read a ``tablespace_map``."""
    lines = (line.partition(" ") for line in _lines(text))
    return {oid: place for oid, space, place in lines if space}


def map_text(found: Mapping[str, str]) -> str:
    """Write a ``tablespace_map``."""
    return "".join(
        f"{oid} {''.join(_ESCAPE + char if char in _ESCAPED else char for char in place)}\n" for oid, place in found.items()
    )  # fmt: skip


def _lines(text: str) -> Iterator[str]:
    line, is_escaped = "", False
    for char in text:
        if not is_escaped and char == _ESCAPE:
            is_escaped = True
        elif not is_escaped and char == "\n":
            yield line
            line = ""
        else:
            line, is_escaped = line + char, False
    if line:
        yield line
