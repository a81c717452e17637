"""A repository, the program ``wal-g`` as a user runs it, and servers that archive by it."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hacore.testing.ports import Ports
from hacore.testing.postgres import PlainServer
from hacore.testing.waiting import wait_for
from hacore.testing.walg.binary import Walg
from hacore.testing.workdir import give_away, server_user

DEADLINE_S = 60


class WalgSite:
    """Everything below one directory. ``settings`` are of ``wal-g``."""

    def __init__(self, directory: Path, walg: Walg, settings: Mapping[str, str] | None = None) -> None:
        self.directory, self.walg = directory, walg
        self.repository = directory / "repository"
        self.repository.mkdir(exist_ok=True)
        give_away(self.repository)
        self.fetched: set[str] = set()
        self.settings = {"WALG_FILE_PREFIX": str(self.repository), "WALG_PREFETCH_DIR": str(directory), **(settings or {})}

    @contextlib.contextmanager
    def server(self) -> Iterator[PlainServer]:
        """A server that archives into the repository."""
        with self._home("server") as server:
            server.create({"archive_mode": "on", "archive_command": f"{self._script()} wal-push %p"})
            yield server

    @contextlib.contextmanager
    def restored(self, name: str = "LATEST") -> Iterator[PlainServer]:
        """A server of a backup, which recovers from the repository to the end of its WAL."""
        with self._home("restored") as server:
            self.must("backup-fetch", str(server.data), name)
            self.fetched = {path.name for path in server.data.iterdir()}
            signal = server.data / "recovery.signal"
            signal.touch()
            give_away(signal)
            place = {"port": str(server.port), "unix_socket_directories": str(server.directory)}
            server.configure({**place, "archive_mode": "off", "restore_command": f"{self._script()} wal-fetch %f %p"})
            server.start()
            wait_for(lambda: not server.query("SELECT pg_is_in_recovery()")[0][0], "recovery ends")
            yield server

    @contextlib.contextmanager
    def _home(self, name: str) -> Iterator[PlainServer]:
        home = self.directory / name
        home.mkdir()
        give_away(home)
        with Ports() as ports:
            server = PlainServer(home, ports.take())
            try:
                yield server
            finally:
                server.close()

    def _script(self) -> Path:
        script = self.directory / "walg.sh"
        lines = [f"export {key}='{value}'" for key, value in self.settings.items()]
        script.write_text("\n".join(["#!/bin/sh", *lines, f'exec {self.walg.path} "$@"', ""]))
        script.chmod(0o755)
        return script

    def archive(self, server: PlainServer) -> str:
        """Fill a segment, wait until it is archived, and return its name."""
        name = server.switch_wal()
        wait_for(lambda: (server.query("SELECT last_archived_wal FROM pg_stat_archiver")[0][0] or "") >= name, f"{name} is archived")
        return name

    def call(self, *arguments: str, server: PlainServer | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run ``wal-g`` and return how it ended."""
        user = server_user()
        place = {"PGHOST": str(server.directory), "PGPORT": str(server.port), "PGUSER": server.owner} if server else {}
        environment = {"PATH": os.environ["PATH"], **self.settings, **place, **settings}
        return subprocess.run(
            [str(self.walg.path), *arguments],
            user=user, group=user, env=environment, cwd=self.directory, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip

    def must(self, *arguments: str, server: PlainServer | None = None, **settings: str) -> str:
        """Run it to success, and return what it printed."""
        done = self.call(*arguments, server=server, **settings)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def backups(self) -> list[dict[str, Any]]:
        """What it lists."""
        found: list[dict[str, Any]] = json.loads(self.must("backup-list", "--json", "--detail") or "[]")
        return found

    def names(self) -> list[str]:
        """The names of backups, as listed."""
        return [one["backup_name"] for one in self.backups()]

    def file(self, name: str, content: bytes) -> Path:
        """A file in ``pg_wal`` of nobody."""
        folder = self.directory / "pg_wal"
        folder.mkdir(exist_ok=True)
        give_away(folder)
        path = folder / name
        path.write_bytes(content)
        give_away(path)
        return path
