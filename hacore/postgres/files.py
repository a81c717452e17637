"""Small files, written so that a crash at any point leaves the old one or the new one, never a half."""

import os
from pathlib import Path

_OWNER_ONLY = 0o600


def write_durably(path: Path, text: str, *, mode: int = _OWNER_ONLY) -> None:
    """Write ``text`` beside ``path``, sync it, put it in place and sync the directory."""
    fresh = path.with_name(f".{path.name}.hacore")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        os.fchmod(fd, mode)
        file.write(text)
        file.flush()
        os.fsync(fd)
    fresh.replace(path)
    sync_directory(path.parent)


def remove_durably(path: Path) -> bool:
    """Remove a file if it is there; tell whether it was."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    sync_directory(path.parent)
    return True


def not_ours(path: Path) -> str | None:
    """Return why PostgreSQL would not start on a directory under this user; ``None`` where it would, or where there is none yet."""
    try:
        owner = path.stat().st_uid
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{path}: {error.strerror}, want a directory that user {os.geteuid()} may enter"
    return None if owner == os.geteuid() else f"{path}: belongs to user {owner}, want {os.geteuid()}, as which hacore runs"


def sync_directory(path: Path) -> None:
    """Make renames and removals in a directory last."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_if_there(path: Path) -> str | None:
    """Read a text file; ``None`` where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
