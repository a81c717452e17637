"""``backup-fetch``: the files of a backup, put into an empty directory."""

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hacore.testing.walg import content
from hacore.testing.walg.backups import FOLDER, Backup, files_of, read_one
from hacore.testing.walg.settings import Settings, WalgError, say
from hacore.testing.walg.storage import Storage


def fetch(settings: Settings, storage: Storage, directory: Path, backup: Backup, spec: dict[str, Any] | None = None) -> None:
    """Unpack a backup and those that it is an increment of, the oldest first."""
    if directory.exists() and any(directory.iterdir()):
        raise WalgError(f"Directory {directory} for delta base must be empty")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    _link_tablespaces(directory, spec or backup.sentinel["Spec"])
    chain = [backup]
    while chain[0].parent:
        chain.insert(0, read_one(storage, chain[0].parent))
    wanted = files_of(storage, backup.name)
    for one in chain:
        say(f"Selecting the backup with name {one.name}...")
        names = wanted if one is backup else {name for name, facts in wanted.items() if facts["IsSkipped"]}
        _unpack(settings, storage, directory, one.name, names)
    lacking = [name for name in wanted if not (directory / name).exists()]
    if lacking:
        raise WalgError(f"Backup '{backup.name}': {len(lacking)} files were not found: {lacking[:3]}")
    say("Backup extraction complete.")


def read_spec(path: Path) -> dict[str, Any]:
    """Read where tablespaces shall be, from a file like the ``Spec`` of a sentinel."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WalgError(f"{path}: {error}") from error
    return found


def _unpack(settings: Settings, storage: Storage, directory: Path, name: str, wanted: Iterable[str]) -> None:
    kept = set(wanted)
    for part in storage.names(f"{FOLDER}{name}/tar_partitions/"):
        stored, start = storage.read(part), part.rpartition(".tar")
        if stored is None:
            raise WalgError(f"{part}: does not exist")
        with tarfile.open(fileobj=io.BytesIO(content.decode(stored, start[2], settings))) as tar:
            for member in tar:
                path = directory / member.name
                if member.isdir():
                    path.mkdir(parents=True, exist_ok=True)
                    path.chmod(member.mode)
                elif member.name in kept and (file := tar.extractfile(member)) is not None:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(file.read())
                    path.chmod(member.mode)
        say(f"Finished extraction of {part.rpartition('/')[2]}")


def _link_tablespaces(directory: Path, spec: dict[str, Any]) -> None:
    for oid in spec["tablespaces"]:
        place, link = Path(spec[oid]["loc"]), directory / spec[oid]["link"]
        if place.exists() and any(place.iterdir()):
            raise WalgError(f"Directory {place} for tablespace {oid} must be empty")
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(place)
