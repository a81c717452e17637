"""``backup-push``: a base backup of a server, from its directory or through its own protocol for backups."""

import io
import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from hacore.testing.walg import content
from hacore.testing.walg.backups import DATE_FORMAT, FOLDER, SENTINEL, Backup, files_of, read_all, resolve, write_metadata
from hacore.testing.walg.segments import Segment
from hacore.testing.walg.server import Server, Stopped
from hacore.testing.walg.settings import Settings, WalgError, say, segment_bytes, whole
from hacore.testing.walg.storage import Storage

_EMPTIED: Final = frozenset(
    {"pg_wal", "pg_dynshmem", "pg_notify", "pg_replslot", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans", "log", "pg_log"}
)
_LEFT_OUT: Final = re.compile(
    r"postmaster\.(pid|opts)|backup_label|tablespace_map|pg_internal\.init.*|postgresql\.auto\.conf\.tmp|pgsql_tmp.*"
)
_CONTROL: Final = "global/pg_control"
_SPACES: Final = "pg_tblspc"
_PART_BYTES: Final = 64 << 20  # kept in memory: the threshold of the settings counts where it is lower
_UNSURE_NS: Final = 1_000_000_000  # a file that changed just now may change again without another time
_END: Final = re.compile(r"end point: ([0-9A-F]+)/([0-9A-F]+)")
_START: Final = re.compile(r"START WAL LOCATION: ([0-9A-F]+)/([0-9A-F]+)")
_TIMELINE: Final = re.compile(r"START TIMELINE: (\d+)")


class Origin(NamedTuple):
    """The backup that the new one is an increment of, and how many increments that makes."""

    backup: Backup
    full_name: str
    steps: int


class Wanted(NamedTuple):
    """What the command line says of the new backup."""

    is_full: bool
    is_permanent: bool
    user_data: Any
    from_name: str | None = None


def push(settings: Settings, storage: Storage, directory: Path | None, wanted: Wanted) -> str:
    """Make a backup and return its name."""
    if directory is None:
        return _push_remote(settings, storage, wanted)
    if not (directory / _CONTROL).exists():
        raise WalgError(f"{directory}: no data directory of PostgreSQL")
    return _push_local(settings, storage, directory, wanted)


def _push_local(settings: Settings, storage: Storage, directory: Path, wanted: Wanted) -> str:
    server, began = Server(), _now()
    system = server.system_identifier()
    origin = None if wanted.is_full else _origin(settings, storage, system, wanted.from_name)
    lsn, timeline = server.begin(f"wal-g {began}")
    segment = Segment(timeline, lsn // segment_bytes(settings)).name(segment_bytes(settings))
    name = f"base_{segment}" if origin is None else f"base_{segment}_D_{origin.backup.first_segment}"
    say(
        f"Starting backup {name}"
        if origin is None
        else f"Delta backup from {origin.backup.name} with LSN {origin.backup.sentinel['LSN']:x}."
    )
    writer = _Writer(settings, storage, name)
    writer.directory(directory, {} if origin is None else files_of(storage, origin.backup.name))
    stopped = server.end()
    if server.timeline() != timeline:  # on a standby: what was copied is of two timelines
        raise WalgError(f"Cannot finish backup {name} because of changed timeline")
    writer.labels(stopped)
    facts = {"start_time": began, "data_dir": str(directory), "pg_version": server.version, "system_identifier": system}
    writer.finish(facts | {"start_lsn": lsn, "finish_lsn": stopped.lsn}, wanted, origin)
    return name


def _push_remote(settings: Settings, storage: Storage, wanted: Wanted) -> str:
    server, began = Server(), _now()
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "copy"
        command = [_basebackup(server.version), "-D", str(copy), "-X", "fetch", "-c", "fast", "-v", "--no-password", "--no-manifest"]
        done = subprocess.run(command, env=os.environ | {"LC_ALL": "C"}, capture_output=True, text=True, check=False)
        ended = _END.search(done.stderr)
        if done.returncode != 0 or ended is None:
            raise WalgError(f"BASE_BACKUP: {done.stderr.strip()}")
        label = (copy / "backup_label").read_text()
        start, timeline = _START.search(label), _TIMELINE.search(label)
        if start is None or timeline is None:
            raise WalgError(f"BASE_BACKUP: no start in the backup_label: {label}")
        lsn = (int(start[1], 16) << 32) + int(start[2], 16)
        name = f"base_{Segment(int(timeline[1]), lsn // segment_bytes(settings)).name(segment_bytes(settings))}"
        writer, finish = _Writer(settings, storage, name), (int(ended[1], 16) << 32) + int(ended[2], 16)
        writer.directory(copy, {})
        writer.labels(Stopped(finish, label, ""))
        facts = {"start_time": began, "data_dir": "", "pg_version": server.version, "system_identifier": server.system_identifier()}
        writer.finish(facts | {"start_lsn": lsn, "finish_lsn": finish}, wanted, None)
        return name


class _Writer:
    """Packs files into parts and stores them; the sentinel last, which makes a backup of it."""

    def __init__(self, settings: Settings, storage: Storage, name: str) -> None:
        self._settings, self._storage, self._name = settings, storage, name
        self._threshold = min(_PART_BYTES, whole(settings, "WALG_TAR_SIZE_THRESHOLD", _PART_BYTES))
        self._files: dict[str, dict[str, Any]] = {}
        self._spaces: dict[str, Any] = {}
        self._sizes = {"uncompressed_size": 0, "compressed_size": 0}
        self._parts = 0
        self._begin_part()

    def directory(self, directory: Path, known: dict[str, dict[str, Any]]) -> None:
        """Store a data directory; of what is known to be as it was in the backup before, only that."""
        for link in sorted((directory / _SPACES).iterdir()):
            self._spaces[link.name] = {"loc": str(link.resolve()), "link": f"{_SPACES}/{link.name}"}
        for path in _walk(directory):
            self._add(path, str(path.relative_to(directory)), known)
        self._end_part(f"part_{self._parts + 1:03d}")
        self._add(directory / _CONTROL, _CONTROL, {})  # last: it says from where WAL is needed
        self._end_part("pg_control")

    def labels(self, stopped: Stopped) -> None:
        """Store what the server said at the end of the backup."""
        for name, text in (("backup_label", stopped.label), ("tablespace_map", stopped.tablespace_map)):
            self._put(tarfile.TarInfo(name), text.encode(), mode=0o600)
            self._files[name] = {"IsIncremented": False, "IsSkipped": False, "MTime": 0, "Size": len(text)}
        self._end_part("backup_label")

    def finish(self, facts: dict[str, Any], wanted: Wanted, origin: Origin | None) -> None:
        """Write what makes a backup of the parts."""
        spec = {"base_prefix": facts["data_dir"], "tablespaces": sorted(self._spaces), **self._spaces}
        metadata = {
            **facts, **self._sizes, "finish_time": _now(), "date_fmt": DATE_FORMAT, "hostname": socket.gethostname(),
            "is_permanent": wanted.is_permanent, "user_data": wanted.user_data,
        }  # fmt: skip
        sentinel: dict[str, Any] = {
            "LSN": facts["start_lsn"], "FinishLSN": facts["finish_lsn"], "PgVersion": facts["pg_version"],
            "SystemIdentifier": facts["system_identifier"], "Spec": spec, "UserData": wanted.user_data,
            "UncompressedSize": self._sizes["uncompressed_size"], "CompressedSize": self._sizes["compressed_size"],
        }  # fmt: skip
        if origin is not None:
            old = origin.backup
            sentinel |= {
                "DeltaFrom": old.name,
                "DeltaFullName": origin.full_name,
                "DeltaLSN": old.sentinel["LSN"],
                "DeltaCount": origin.steps,
            }
        self._storage.write(f"{FOLDER}{self._name}/files_metadata.json", json.dumps({"Files": self._files}).encode())
        write_metadata(self._storage, self._name, metadata)
        self._storage.write(f"{FOLDER}{self._name}{SENTINEL}", json.dumps(sentinel).encode())
        say(f"Wrote backup with name {self._name}")

    def _add(self, path: Path, name: str, known: dict[str, dict[str, Any]]) -> None:
        try:
            found = path.stat()
            info = tarfile.TarInfo(name)
            if path.is_dir():
                info.type = tarfile.DIRTYPE
                self._put(info, b"", mode=found.st_mode)
                return
            is_sure = time.time_ns() - found.st_mtime_ns > _UNSURE_NS
            facts = {"MTime": found.st_mtime_ns if is_sure else 0, "Size": found.st_size}
            old = known.get(name, {})
            is_skipped = is_sure and (old.get("MTime"), old.get("Size")) == (facts["MTime"], facts["Size"])
            if not is_skipped:
                self._put(info, path.read_bytes(), mode=found.st_mode)
        except FileNotFoundError:  # dropped meanwhile; WAL says so, too
            return
        self._files[name] = {"IsIncremented": False, "IsSkipped": is_skipped, **facts}

    def _put(self, info: tarfile.TarInfo, data: bytes, *, mode: int) -> None:
        info.size, info.mode, info.mtime = len(data), mode & 0o777, int(time.time())
        self._tar.addfile(info, io.BytesIO(data))
        self._sizes["uncompressed_size"] += len(data)
        if self._buffer.tell() > self._threshold:
            self._end_part(f"part_{self._parts + 1:03d}")

    def _begin_part(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._buffer, mode="w")  # noqa: SIM115 - closed by _end_part

    def _end_part(self, part: str) -> None:
        self._tar.close()
        stored = content.encode(self._buffer.getvalue(), self._settings)
        self._storage.write(f"{FOLDER}{self._name}/tar_partitions/{part}.tar{content.extension(self._settings)}", stored)
        self._sizes["compressed_size"] += len(stored)
        self._parts += 1
        self._begin_part()


def _walk(directory: Path) -> Iterator[Path]:
    """Return what belongs into a backup; of some directories that they are there, and nothing inside.

    Links are followed to tablespaces alone; any other, as one in the place of ``pg_wal``, is left out, as the real one does.
    """
    for top, folders, files in os.walk(directory, followlinks=True):
        place = Path(top)
        inside = str(place.relative_to(directory))
        if inside != _SPACES:
            folders[:] = [name for name in folders if not (place / name).is_symlink()]
        folders[:] = [] if inside in _EMPTIED else sorted(name for name in folders if not _LEFT_OUT.fullmatch(name))
        if inside != "." and not place.is_symlink():
            yield place
        if inside in _EMPTIED:
            if inside == "pg_wal":
                yield place / "archive_status"
            continue
        for name in sorted(files):
            if not _LEFT_OUT.fullmatch(name) and f"{inside}/{name}" != _CONTROL and not (place / name).is_symlink():
                yield place / name


def _origin(settings: Settings, storage: Storage, system: int, from_name: str | None) -> Origin | None:
    """Choose what an increment is made from; ``None``: the backup is a full one."""
    steps = whole(settings, "WALG_DELTA_MAX_STEPS", 0)
    backups = read_all(storage)
    if steps <= 0 or not backups:
        return None
    latest = resolve(backups, from_name or "LATEST")
    count, full_name = latest.sentinel.get("DeltaCount", 0) + 1, latest.sentinel.get("DeltaFullName", latest.name)
    if settings.get("WALG_DELTA_ORIGIN") == "LATEST_FULL":
        latest, count = resolve(backups, full_name), 1
    if count > steps:
        say(f"Reached max delta steps. Doing full backup. Delta steps: {count - 1}")
        return None
    if latest.sentinel["SystemIdentifier"] != system:
        raise WalgError(f"system identifier of the latest backup is {latest.sentinel['SystemIdentifier']}, of the server {system}")
    return Origin(latest, full_name, count)


def _basebackup(version: int) -> str:
    debian = f"/usr/lib/postgresql/{version // 10000}/bin/pg_basebackup"
    return shutil.which("pg_basebackup") or debian


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() // 1000 % 1_000_000:06d}Z"
