"""A backup and archive plugin as a third party would write it: base backups by pg_basebackup, WAL by copying, in one directory."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import (
    ArchivePlugin,
    ArchiveRequest,
    BackupPlugin,
    BackupRequest,
    BackupSite,
    ExpireBackups,
    ListBackups,
    ReplicaPlugin,
    ReplicaRequest,
    RestoreRequest,
    VerifyBackup,
    hookimpl,
)
from hacore.interfaces import (
    ArchiveSettings,
    Backup,
    Created,
    Expired,
    Failed,
    Job,
    Offer,
    Refusal,
    Restored,
    SectionChecker,
    Verified,
)
from hacore.model.lsn import Lsn

TOOL = Path(__file__).with_name("plaintool.py")
MISSING = 44
BAD = 45
LIST_S = 8.0


@dataclass(frozen=True, kw_only=True)
class PlainSettings:
    """The section ``plugins: {plain: ...}``."""

    directory: str
    tool: tuple[str, ...] = (sys.executable, str(TOOL))


class PlainPlugin(BackupPlugin, ArchivePlugin, ReplicaPlugin):
    """Runs the tool."""

    def __init__(self, settings: PlainSettings) -> None:
        self._settings = settings

    @staticmethod
    def hacore_config_schema() -> type[SectionChecker]:
        """Describe the section."""
        from marshmallow import fields, post_load  # noqa: PLC0415 - a heavy library that only the reader of the configuration needs

        from hacore.schema import SectionSchema  # noqa: PLC0415 - the same

        class PlainSchema(SectionSchema):
            directory = fields.String(required=True)
            tool = fields.List(fields.String(), load_default=[sys.executable, str(TOOL)])

            @post_load
            def freeze(self, data: dict[str, Any], **_: object) -> PlainSettings:
                return PlainSettings(directory=data["directory"], tool=tuple(data["tool"]))

        return PlainSchema

    @hookimpl
    def hacore_archive_settings(self, request: ArchiveRequest) -> ArchiveSettings:
        """Push and fetch by the tool."""
        argv = self._argv()
        return ArchiveSettings(push=(*argv, "push", "%p", "%f"), fetch=(*argv, "fetch", "%f", "%p"), missing_codes=(MISSING,))

    @hookimpl
    def hacore_replica_offer(self, request: ReplicaRequest) -> Offer | Refusal:
        """Offer what leads to the leader."""
        return request.offer_of([_backup(one) for one in self._list(request.environment)], most_megabytes=10240, most_percent=10_000)

    @hookimpl
    def hacore_create_replica(self, request: ReplicaRequest, offer: Offer | None, job: Job) -> Created | Failed:
        """Copy what was offered."""
        assert offer is not None
        argv = [*self._argv(), "restore", str(offer.backup_id), request.data_dir]
        finished = job.run(argv, environment={**request.environment, "SPACES": "{}"})
        return Created() if finished.exit_code == 0 else Failed(reason=f"restore ended with {finished.exit_code}")

    @hookimpl
    def hacore_list_backups(self, request: ListBackups) -> Sequence[Backup]:
        """Read the list."""
        return [_backup(one) for one in self._list(request.site.environment)]

    def _list(self, environment: Mapping[str, str]) -> list[dict[str, Any]]:
        try:
            found = subprocess.run([*self._argv(), "list"], capture_output=True, timeout=LIST_S, check=True, env={**environment})
            listed: list[dict[str, Any]] = json.loads(found.stdout)
        except subprocess.CalledProcessError as error:
            raise PluginUnavailableError(f"plain: {error.stderr.decode(errors='replace').strip()[-300:] or error}") from error
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            raise PluginUnavailableError(f"plain: {error}") from error
        return listed

    @hookimpl
    def hacore_backup(self, request: BackupRequest, job: Job) -> Backup | Failed:
        """Make one."""
        lines: list[str] = []

        def told(line: str) -> None:
            lines.append(line)
            job.progress(line)

        site = request.site
        more = {
            "SYSTEM_ID": site.system_id or "",
            "MEMBER": site.context.member,
            "LABELS": json.dumps(dict(request.labels)),
            "DATA_DIR": site.data_dir or "",
        }
        failed = self._run(job, site, "make", more=more, on_line=told)
        if failed is not None:
            return failed
        name = next((line.removeprefix("made ") for line in lines if line.startswith("made ")), None)
        if name is None:
            raise PluginUnavailableError("plain: the tool does not say what it made")
        return next((one for one in self.hacore_list_backups(ListBackups(site=site)) if one.id == name), Backup(id=name))

    @hookimpl
    def hacore_restore(self, request: RestoreRequest, job: Job) -> Restored | Failed:
        """Copy one."""
        found: dict[str, str] = next((one["spaces"] for one in self._list(request.site.environment) if one["id"] == request.backup.id), {})
        spaces = {"SPACES": json.dumps(request.tablespaces.of(found))}
        failed = self._run(job, request.site, "restore", request.backup.id, request.data_dir, more=spaces)
        if failed is None and not (Path(request.data_dir) / "backup_label").exists() and self._settings.tool[0] != sys.executable:
            return Failed(reason="nothing was restored")
        return failed or Restored()

    @hookimpl
    def hacore_verify_backup(self, request: VerifyBackup, job: Job) -> Verified | Failed:
        """Let pg_verifybackup look."""
        failed, verdict = self._run(job, request.site, "verify", request.backup.id), f"verify ended with {BAD}:"
        if failed is not None and not failed.reason.startswith(verdict):
            raise PluginUnavailableError(f"plain: {failed.reason}")
        return failed or Verified(detail="checksums of all files")

    @hookimpl
    def hacore_expire_backups(self, request: ExpireBackups, job: Job) -> Expired | Failed:
        """Remove some."""
        return self._run(job, request.site, "remove", *request.remove) or Expired(removed=request.remove)

    def _argv(self) -> tuple[str, ...]:
        return (*self._settings.tool, self._settings.directory)

    def _run(
        self, job: Job, site: BackupSite, *words: str, more: Mapping[str, str] | None = None, on_line: Any = None
    ) -> Failed | None:  # fmt: skip
        environment = {
            **site.environment,
            "PGHOST": site.socket_dir or "",
            "PGPORT": str(site.port),
            "PGUSER": site.superuser,
            "PG_BASEBACKUP": site.programs["pg_basebackup"],
            "PG_VERIFYBACKUP": site.programs["pg_verifybackup"],
            **(more or {}),
        }
        finished = job.run([*self._argv(), *words], environment=environment, on_line=on_line)
        return (
            None
            if finished.exit_code == 0
            else Failed(reason=f"{words[0]} ended with {finished.exit_code}: {finished.output.strip()[-300:]}")
        )


def _backup(found: Mapping[str, Any]) -> Backup:
    return Backup(
        id=found["id"],
        started_at=datetime.fromisoformat(found["started_at"]),
        stopped_at=datetime.fromisoformat(found["stopped_at"]),
        start_lsn=Lsn.parse(found["start_lsn"]),
        stop_lsn=Lsn.parse(found["stop_lsn"]),
        timeline=found["timeline"],
        system_id=found["system_id"] or None,
        host=found["host"],
        size_bytes=found.get("size_bytes"),
        parent=found.get("parent"),
        labels=found["labels"],
    )
