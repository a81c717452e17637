"""Two kinds of storage that can be spoiled, and what a test has of one."""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hacore.testing.conformance.plugin import PluginUnderTest
from hacore.testing.faults.proxy import Fault, TcpProxy
from hacore.testing.postgres import PlainServer
from hacore.testing.waiting import wait_for
from hacore.testing.walg.binary import Walg
from hacore.testing.workdir import give_away

DEADLINE_S = 60


class Storage(Protocol):
    environment: dict[str, str]

    def spoil(self) -> None:
        """It cannot be read any more."""

    def mend(self) -> None:
        """It can be read again."""


class Folder:
    """A directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        give_away(path)
        self.environment = {"WALG_FILE_PREFIX": str(path)}

    def spoil(self) -> None:
        self.path.rename(f"{self.path}.away")

    def mend(self) -> None:
        Path(f"{self.path}.away").rename(self.path)


class Bucket:
    """A prefix of a bucket, behind a proxy."""

    def __init__(self, proxy: TcpProxy, prefix: str) -> None:
        self._proxy = proxy
        self.environment = {
            "WALG_S3_PREFIX": prefix,
            "AWS_ENDPOINT": f"http://{proxy.endpoint}",
            "AWS_S3_FORCE_PATH_STYLE": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "S3_MAX_RETRIES": "1",
        }

    def spoil(self) -> None:
        self._proxy.set(Fault(refuse=True))

    def mend(self) -> None:
        self._proxy.set(Fault())


@dataclass(kw_only=True)
class Site:
    """The program, the storage, and perhaps a server that archives there."""

    walg: Walg
    storage: Storage
    directory: Path
    server: PlainServer = field(init=False)

    @property
    def environment(self) -> dict[str, str]:
        """What ``wal-g`` is told."""
        return {**self.storage.environment, "WALG_PREVENT_WAL_OVERWRITE": "true"}

    def section(self, **more: object) -> dict[str, object]:
        """The section of the configuration."""
        return {"binary": str(self.walg.path), "environment": dict(self.storage.environment), **more}

    def subject(self, kind: str, **more: object) -> PluginUnderTest:
        return PluginUnderTest(kind=kind, name="walg", section=self.section(**more))

    def call(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``wal-g`` itself."""
        return subprocess.run(
            [str(self.walg.path), *words],
            env={"PATH": os.environ["PATH"], **self.environment, **environment},
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    def push_backup(self) -> None:
        """Make a backup of the server, as its administrator does by hand."""
        place = {name: self.server.environment[name] for name in ("PGHOST", "PGPORT", "PGUSER")}
        done = self.call("backup-push", str(self.server.data), **place)
        assert done.returncode == 0, done.stderr

    def has_wal(self, name: str) -> bool:
        """Tell whether a file of WAL is stored."""
        return self.call("wal-fetch", name, str(self.directory / "seen"), WALG_DOWNLOAD_CONCURRENCY="1").returncode == 0

    def archive(self) -> str:
        """Fill a segment, wait until the server has archived it, and return its name."""
        name = self.server.switch_wal()
        wait_for(lambda: (self.server.query("SELECT last_archived_wal FROM pg_stat_archiver")[0][0] or "") >= name, f"{name} is archived")
        return name

    def new_directory(self, name: str) -> Path:
        """An empty directory."""
        path = self.directory / name
        path.mkdir(mode=0o700)
        return path
