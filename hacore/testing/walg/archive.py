"""The WAL of the storage: pushed, fetched, and fetched before it is asked for."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from hacore.testing.walg import content
from hacore.testing.walg.segments import FOLDER, Segment, parse
from hacore.testing.walg.settings import MissingArchiveError, Settings, WalgError, flag, say, segment_bytes, whole
from hacore.testing.walg.storage import Storage

_HISTORY: Final = ".history"
_AHEAD: Final = 10  # the default of WALG_DOWNLOAD_CONCURRENCY


def push(settings: Settings, storage: Storage, path: Path) -> None:
    """Put a file of ``pg_wal`` into the storage. History files are never overwritten by others."""
    try:
        pushed = path.read_bytes()
    except OSError as error:
        raise WalgError(f"could not open '{path}': {error.strerror}") from error
    if flag(settings, "WALG_PREVENT_WAL_OVERWRITE") or path.name.endswith(_HISTORY):
        there = load(settings, storage, path.name)
        if there == pushed:
            say(f"WAL file '{path}' already archived with equal content, skipping", "WARNING")
            return
        if there is not None:
            raise WalgError(f"WAL file '{path}' already archived, contents differ, unable to overwrite")
    storage.write(f"{FOLDER}{path.name}{content.extension(settings)}", content.encode(pushed, settings))
    say(f"FILE PATH: {path.name}{content.extension(settings)}")


def load(settings: Settings, storage: Storage, name: str) -> bytes | None:
    """Return a file of the archive; ``None``: it is not there."""
    ending = storage.find(FOLDER + name, content.EXTENSIONS)
    stored = None if ending is None else storage.read(f"{FOLDER}{name}{ending}")
    return None if stored is None or ending is None else content.decode(stored, ending, settings)


def fetch(settings: Settings, storage: Storage, name: str, destination: Path) -> None:
    """Put a file of the archive where the server wants it, and begin with those that it will want next."""
    segment, ahead = parse(name, segment_bytes(settings)), _prefetched(settings, destination)
    if segment is None or not _take(ahead / name, destination, segment_bytes(settings)):
        ending = storage.find(FOLDER + name, content.EXTENSIONS)
        stored = None if ending is None else storage.read(f"{FOLDER}{name}{ending}")
        if stored is None or ending is None:
            raise MissingArchiveError(f"Archive '{name}' does not exist.")
        with destination.open("wb") as file:  # what cannot be unpacked leaves an empty file, as the real one does
            file.write(content.decode(stored, ending, settings))
    if segment is not None and whole(settings, "WALG_DOWNLOAD_CONCURRENCY", _AHEAD) > 1:
        following = segment.after(1).name(segment_bytes(settings))
        if storage.find(FOLDER + following, content.EXTENSIONS) is not None:
            _start_prefetch(name, destination)


def prefetch(settings: Settings, storage: Storage, name: str, destination: Path) -> None:
    """Fetch the segments after this one into the directory where ``fetch`` looks first, and remove those before it."""
    size, directory = segment_bytes(settings), _prefetched(settings, destination)
    segment = parse(name, size)
    if segment is None:
        raise WalgError(f"'{name}' is not the name of a WAL segment")
    running = directory / "running"
    running.mkdir(parents=True, exist_ok=True)
    for path in directory.iterdir():
        if (old := parse(path.name, size)) and old <= segment:
            path.unlink(missing_ok=True)
    for steps in range(1, whole(settings, "WALG_DOWNLOAD_CONCURRENCY", _AHEAD) + 1):
        if not _prefetch_one(settings, storage, directory, segment.after(steps)):
            return


def _prefetch_one(settings: Settings, storage: Storage, directory: Path, segment: Segment) -> bool:
    name = segment.name(segment_bytes(settings))
    if (directory / name).exists() or (directory / "running" / name).exists():
        return True
    found = load(settings, storage, name)
    if found is None:
        return False
    draft = directory / "running" / name
    draft.write_bytes(found)
    draft.replace(directory / name)
    return True


def _prefetched(settings: Settings, destination: Path) -> Path:
    return Path(settings.get("WALG_PREFETCH_DIR") or destination.absolute().parent) / ".wal-g" / "prefetch"


def _take(prefetched: Path, destination: Path, size: int) -> bool:
    with contextlib.suppress(OSError):
        if prefetched.stat().st_size == size:
            shutil.move(prefetched, destination)
            return True
    return False


def _start_prefetch(name: str, destination: Path) -> None:
    """Go on in a process that outlives this one."""
    command = [sys.executable, "-I", sys.argv[0], "wal-prefetch", name, str(destination.absolute())]
    nothing = subprocess.DEVNULL
    subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True, env=os.environ)
