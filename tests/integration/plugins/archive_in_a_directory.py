"""An archive plugin of somebody else's: a directory, one sh program, and the plugin that names it. Installed as pip would leave it.

What a store does wrong is done by files in the directory: ``broken`` (every call fails), ``hang`` (every call), ``slow`` (seconds a push).
"""

import os
from pathlib import Path
from typing import Final

NAME: Final = "directory"

_TOOL: Final = """#!/bin/sh
# push ROOT OWNER PATH NAME | fetch ROOT NAME PATH | owner ROOT
what=$1 root=$2
if [ -e "$root/hang" ]; then exec sleep 3600; fi
if [ -e "$root/broken" ] || [ ! -d "$root/wal" ]; then echo "the directory cannot be read" >&2; exit 3; fi
case $what in
push)
    if [ -e "$root/slow" ]; then sleep "$(cat "$root/slow")"; fi
    [ -e "$root/owner" ] || printf '%s\\n' "$3" >"$root/owner"
    if [ -e "$root/wal/$5" ]; then cmp -s "$4" "$root/wal/$5" || exit 45; exit 0; fi
    cp "$4" "$root/wal/.$5.$$" && mv "$root/wal/.$5.$$" "$root/wal/$5" ;;
fetch)
    [ -e "$root/wal/$3" ] || exit 74
    cp "$root/wal/$3" "$4" ;;
owner)
    if [ -e "$root/owner" ]; then cat "$root/owner"; else echo nobody; fi ;;
esac
"""

_MODULE: Final = '''"""WAL in a directory."""

import re
import subprocess
from dataclasses import dataclass
from typing import Any

from marshmallow import fields, post_load

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import ArchiveRequest, hookimpl
from hacore.interfaces import ArchiveConflict, ArchiveEmpty, ArchiveOwned, ArchiveSettings, ArchiveStatus
from hacore.schema import SectionSchema


@dataclass(frozen=True)
class Settings:
    path: str
    tool: str


class Schema(SectionSchema):
    path = fields.String(required=True)
    tool = fields.String(required=True)

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> Settings:
        return Settings(**data)


class DirectoryArchive:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @staticmethod
    @hookimpl
    def hacore_config_schema() -> type[SectionSchema]:
        return Schema

    @hookimpl
    def hacore_archive_settings(self, request: ArchiveRequest) -> ArchiveSettings:
        tool, path = self._settings.tool, self._settings.path
        return ArchiveSettings(
            push=(tool, "push", path, owner_of(request), "%p", "%f"),
            fetch=(tool, "fetch", path, "%f", "%p"),
            missing_codes=(74,),
            conflict_codes=(45,),
            environment=(("DIRECTORY_ARCHIVE_SECRET", "very secret"),),
            parameters=(("archive_timeout", "17"),),
            push_limit_s=30.0,
            fetch_limit_s=30.0,
        )

    @hookimpl
    def hacore_archive_identity(self, request: ArchiveRequest) -> ArchiveEmpty | ArchiveOwned | ArchiveConflict | None:
        argv = (self._settings.tool, "owner", self._settings.path)
        try:
            done = subprocess.run(argv, env=dict(request.environment), capture_output=True, timeout=5, check=False)
        except subprocess.TimeoutExpired as error:
            raise PluginUnavailableError("the directory does not answer") from error
        text = done.stdout.decode(errors="replace").strip()
        if done.returncode != 0 or not re.fullmatch(r"nobody|[0-9]+/[0-9]+/[a-z0-9_-]+", text):
            raise PluginUnavailableError(f"owner ended with {done.returncode}")
        if text == "nobody":
            return ArchiveEmpty()
        return ArchiveOwned() if text == owner_of(request) else ArchiveConflict(owner=text)

    @hookimpl
    def hacore_archive_status(self, request: ArchiveRequest) -> ArchiveStatus | None:
        return ArchiveStatus()


def owner_of(request: ArchiveRequest) -> str:
    identity = request.identity
    return f"{identity.system_id}/{identity.major_version}/{identity.scope}"
'''


class DirectoryArchive:
    """The archive of a test below ``directory``, and the plugin for it."""

    def __init__(self, directory: Path) -> None:
        self.root, self.tool = directory / "archive", directory / "archive-tool"
        self.wal = self.root / "wal"
        self.wal.mkdir(parents=True)
        self.tool.write_text(_TOOL)
        self.tool.chmod(0o755)
        self._give(self.root, self.wal, self.tool)

    @property
    def section(self) -> dict[str, str]:
        """Settings of the plugin."""
        return {"path": str(self.root), "tool": str(self.tool)}

    def say(self, fault: str, text: str = "") -> None:
        """Let the store do something wrong."""
        (self.root / fault).write_text(text)

    def mend(self) -> None:
        """Let it do everything right."""
        for fault in ("broken", "hang", "slow"):
            (self.root / fault).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """What has been pushed."""
        return sorted(path.name for path in self.wal.iterdir() if not path.name.startswith("."))

    def segments(self, timeline: int | None = None) -> list[str]:
        """The segments that have been pushed whole."""
        names = [name for name in self.names() if len(name) == 24]
        return names if timeline is None else [name for name in names if int(name[:8], 16) == timeline]

    def _give(self, *paths: Path) -> None:
        owner = self.root.parent.stat()
        if os.geteuid() == 0:
            for path in paths:
                os.chown(path, owner.st_uid, owner.st_gid)


def install_distribution(site: Path) -> Path:
    """Put the plugin's distribution on a path that an interpreter can be given."""
    info = site / "hacore_archive_directory-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "hacore_archive_directory.py").write_text(_MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hacore-archive-directory\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[hacore.archive]\n{NAME} = hacore_archive_directory:DirectoryArchive\n")
    return site
