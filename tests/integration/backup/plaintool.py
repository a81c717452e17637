"""The tool of the test's own backup plugin: base backups and WAL in a directory. A file ``fault`` there makes it misbehave.

plaintool.py REPOSITORY list | make | restore ID DIR | verify ID | remove ID... | push PATH NAME | fetch NAME PATH
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

MISSING = 44
BAD = 45


def main(repository: Path, command: str, *words: str) -> int:
    if not repository.is_dir() or not os.access(repository, os.R_OK | os.X_OK):
        raise OSError(f"{repository} cannot be read")
    fault = (repository / "fault").read_text().strip() if (repository / "fault").exists() else ""
    match command:
        case "list":
            print(json.dumps([json.loads(one.read_text()) for one in sorted((repository / "base").glob("*/backup.json"))]))
        case "make":
            make(repository, fault)
        case "restore":
            restore(repository, fault, words[0], words[1])
        case "verify" if fault == "no_verification":
            return 0
        case "verify":
            found = subprocess.call([os.environ["PG_VERIFYBACKUP"], "--no-parse-wal", repository / "base" / words[0] / "data"])
            return BAD if found else 0
        case "remove":
            remove(repository, *words)
        case "push":
            push(repository, *words)
        case "fetch":
            return fetch(repository, fault, *words)
        case _:
            raise ValueError(f"no such command: {command}")
    return 0


def remove(repository: Path, *names: str) -> None:
    for name in names:
        (repository / "base" / name / "backup.json").unlink()
        shutil.rmtree(repository / "base" / name)


def make(repository: Path, fault: str) -> None:
    if fault == "lie":
        print("made base_of_lies")
        return
    began = datetime.now(UTC)
    name = f"base_{time.time_ns()}"
    place = repository / "base" / name
    place.mkdir(parents=True)
    if fault == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("10 %", flush=True)
        time.sleep(3600)
    if fault.startswith("slow"):
        for step in range(100):
            print(f"{step} %", flush=True)
            time.sleep(float(fault.partition(" ")[2]) / 100)
    spaces = {link.name: str(link.readlink()) for link in Path(os.environ["DATA_DIR"], "pg_tblspc").iterdir()}
    moved = [f"--tablespace-mapping={was}={place / 'spaces' / oid}" for oid, was in spaces.items()]
    subprocess.run(
        [os.environ["PG_BASEBACKUP"], "--checkpoint=fast", "--wal-method=fetch", "--no-sync", "-D", place / "data", *moved], check=True
    )
    if fault == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    (manifest,) = json.loads((place / "data" / "backup_manifest").read_text())["WAL-Ranges"][-1:]
    found = {
        "id": name,
        "started_at": began.isoformat(),
        "stopped_at": datetime.now(UTC).isoformat(),
        "start_lsn": manifest["Start-LSN"],
        "stop_lsn": manifest["End-LSN"],
        "timeline": manifest["Timeline"],
        "system_id": os.environ["SYSTEM_ID"],
        "host": os.environ["MEMBER"],
        "size_bytes": sum(one.stat().st_size for one in place.rglob("*") if one.is_file()),
        "labels": json.loads(os.environ["LABELS"]),
        "spaces": spaces,
    }
    (place / "new").write_text(json.dumps(found))
    (place / "new").rename(place / "backup.json")
    print(f"made {name}")


def restore(repository: Path, fault: str, name: str, directory: str) -> None:
    if fault == "hang_in_restore":
        time.sleep(3600)
    if fault == "die_in_restore":
        (Path(directory) / "PG_VERSION").write_text("half a directory\n")
        os.kill(os.getpid(), signal.SIGKILL)
    if not (repository / "base" / name / "backup.json").exists():
        raise OSError(f"{name}: no such backup")
    if any(Path(directory).iterdir()):
        raise OSError(f"{directory} is not empty")
    if fault != "lie_in_restore":
        shutil.copytree(repository / "base" / name / "data", directory, dirs_exist_ok=True, symlinks=True)
        for oid, space in json.loads(os.environ["SPACES"]).items():
            shutil.copytree(repository / "base" / name / "spaces" / oid, space, dirs_exist_ok=True)
            link = Path(directory, "pg_tblspc", oid)
            link.unlink()
            link.symlink_to(space)


def push(repository: Path, path: str, name: str) -> None:
    target = repository / "wal" / name
    target.parent.mkdir(exist_ok=True)
    if target.exists():
        if target.read_bytes() != Path(path).read_bytes():
            raise OSError(f"{name} is there with other content")
        return
    new = target.with_suffix(f".{os.getpid()}.new")
    shutil.copyfile(path, new)
    new.rename(target)


def fetch(repository: Path, fault: str, name: str, path: str) -> int:
    if fault == "broken_archive":
        raise OSError("the archive is away")
    if fault == "slow_fetch" and "." not in name:
        time.sleep(60)
    if fault == "busy_archive":
        time.sleep(8)
    source = repository / "wal" / name
    if not source.exists():
        return MISSING
    shutil.copyfile(source, path)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        sys.exit(f"plaintool: {error}")
