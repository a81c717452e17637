"""A shim between a data directory and an archive, its programs run as PostgreSQL runs them."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hacore.interfaces import ArchiveSettings
from hacore.postgres.archive_scripts import ShimLimits, ShimPlace
from hacore.postgres.archive_shim import ArchiveShim

MIB = 1 << 20
SEGMENT = "000000010000000000000001"
HISTORY = "00000002.history"
QUICK = ShimLimits(history_s=0.3, restore_s=1, kill_s=0.2)
MISSING = 74


class Site:
    """A data directory, an archive that is a directory, and a shim between them. Its paths have what a shell would trip over."""

    def __init__(self, directory: Path) -> None:
        root = directory / 'it\'s 100% "$HOME" here'
        self.data_dir, self.store, self.state = root / "data", root / "store", root / "state" / "archive"
        for path in (self.data_dir / "pg_wal", self.store):
            path.mkdir(parents=True)
        self.tools = root
        self.settings = ArchiveSettings(
            push=(self.tool("push", 'cmp -s "$1" "$STORE/$2" && exit 0\n[ ! -e "$STORE/$2" ] || exit 45\ncp "$1" "$STORE/$2"'), "%p", "%f"),
            fetch=(self.tool("get", f'[ -e "$STORE/$1" ] || exit {MISSING}\ncp "$STORE/$1" "$2"'), "%f", "%p"),
            missing_codes=(MISSING, 75),
            environment=(("STORE", str(self.store)), ("SECRET", "it's $(a secret)\nof two lines")),
            push_limit_s=0.5,
            fetch_limit_s=0.5,
        )
        self.shim = self.made()

    def tool(self, name: str, body: str) -> str:
        path = self.tools / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return str(path)

    def made(self, **changes: Any) -> ArchiveShim:
        """Write the programs with other settings."""
        place = ShimPlace(directory=self.state, data_dir=self.data_dir, segment_bytes=MIB)
        held, limits = changes.pop("held", None), changes.pop("limits", QUICK)
        self.shim = ArchiveShim(place=place, settings=replace(self.settings, **changes), held=held, limits=limits)
        self.shim.write()
        return self.shim

    def fetching(self, body: str, **changes: Any) -> None:
        self.made(fetch=(self.tool("other", body), "%f", "%p"), **changes)

    def pushing(self, body: str, **changes: Any) -> None:
        self.made(push=(self.tool("other", body), "%p", "%f"), **changes)

    def restoring(self) -> None:
        (self.data_dir / "recovery.signal").touch()

    def standing_by(self) -> None:
        (self.data_dir / "standby.signal").touch()

    def fetch(self, name: str = SEGMENT, path: str = "pg_wal/RECOVERYXLOG", cwd: Path | None = None) -> int:
        return run(self.shim.restore_command, path, name, cwd or self.data_dir).returncode

    def push(self, name: str = SEGMENT) -> int:
        return run(self.shim.archive_command, f"pg_wal/{name}", name, self.data_dir).returncode

    @property
    def fetched(self) -> bytes | None:
        path = self.data_dir / "pg_wal" / "RECOVERYXLOG"
        return path.read_bytes() if path.exists() else None

    def leftovers(self) -> list[str]:
        return [path.name for path in (self.data_dir / "pg_wal").iterdir() if path.name.startswith(".")]


def expand(command: str, path: str, name: str) -> str:
    """As PostgreSQL does."""
    marks = {"%%": "%", "%p": path, "%f": name}
    return "".join(marks.get(part, part) for part in split_marks(command))


def split_marks(command: str) -> Iterator[str]:
    position = 0
    while position < len(command):
        width = 2 if command[position] == "%" else 1
        yield command[position : position + width]
        position += width


def run(command: str, path: str, name: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return executed(["sh", "-c", expand(command, path, name)], cwd)


def executed(words: list[str], cwd: Path) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"], "PGOPTIONS": "-c statement_timeout=0", "PGPASSFILE": "/nowhere"}
    return subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, errors="replace", timeout=60, check=False)


def stored(site: Site, name: str = SEGMENT, content: bytes | None = None) -> bytes:
    content = os.urandom(MIB) if content is None else content
    (site.store / name).write_bytes(content)
    return content


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)
