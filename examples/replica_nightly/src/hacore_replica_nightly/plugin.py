"""Creates a standby from the backup that the site makes each night with ``pg_basebackup --format=tar`` on a disk that every node mounts."""

import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import ReplicaPlugin, ReplicaRequest, hookimpl
from hacore.interfaces import Created, Failed, Job, Offer, Refusal, SectionChecker
from hacore.model.lsn import Lsn

_BASE: Final = "base.tar"
_WAL: Final = "pg_wal.tar"
_LABEL: Final = "backup_label"


@dataclass(frozen=True, kw_only=True)
class NightlySettings:
    """The section ``plugins: {nightly: ...}``, checked."""

    path: Path


class NightlyPlugin(ReplicaPlugin):
    """Unpacks last night's backup; the rest is streamed from the leader."""

    def __init__(self, settings: NightlySettings) -> None:
        self._settings = settings

    @staticmethod
    @hookimpl
    def hacore_config_schema() -> type[SectionChecker]:
        """Describe the section; its library is imported only where a configuration is read."""
        from hacore_replica_nightly.schema import NightlySchema  # noqa: PLC0415

        return NightlySchema

    @hookimpl
    def hacore_replica_offer(self, request: ReplicaRequest) -> Offer | Refusal:
        """Read from the backup where it begins. The core refuses another timeline, and too much WAL since."""
        base = self._settings.path / _BASE
        try:
            with tarfile.open(base) as archive:
                label = archive.extractfile(_LABEL)
                text = label.read().decode() if label is not None else ""
            size = base.stat().st_size
        except FileNotFoundError:
            return Refusal(reason=f"there is no {base}")
        except (OSError, tarfile.TarError, KeyError) as error:
            raise PluginUnavailableError(f"{base}: {error}") from error
        start = re.search(r"^START WAL LOCATION: (\S+)", text, re.MULTILINE)
        timeline = re.search(r"^START TIMELINE: (\d+)", text, re.MULTILINE)
        if start is None or timeline is None:
            return Refusal(reason=f"{base}: its {_LABEL} does not say where it begins")
        lsn = Lsn.parse(start[1])
        wal = max(0, request.leader_lsn - lsn) if request.leader_lsn is not None else None
        return Offer(timeline=int(timeline[1]), start_lsn=lsn, size_bytes=size, wal_bytes=wal)

    @hookimpl
    def hacore_create_replica(self, request: ReplicaRequest, offer: Offer | None, job: Job) -> Created | Failed:  # noqa: ARG002
        """Unpack both parts. The core has emptied the directory before, and checks whose it is afterwards."""
        target = Path(request.data_dir)
        for name, place in ((_BASE, target), (_WAL, target / "pg_wal")):
            archive = self._settings.path / name
            if name == _WAL and not archive.exists():
                continue  # made with --wal-method=none: the leader has it, or the archive
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            job.progress(f"unpacks {archive}")
            argv = ["tar", "--extract", f"--file={archive}", f"--directory={place}", "--checkpoint=1000", "--checkpoint-action=echo=%u"]
            finished = job.run(argv, environment=request.environment, on_line=lambda line: job.progress(f"record {line}"))
            if finished.exit_code:
                return Failed(reason=f"tar ended with {finished.exit_code}: {finished.output.strip()[-300:]}")
        return Created()
