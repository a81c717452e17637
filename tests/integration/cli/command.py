"""The command as a person calls it: a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = (sys.executable, "-c", "from hacore.cli.main import main; main()")
DEADLINE_S = 150


@dataclass(frozen=True, slots=True)
class Said:
    """What came of a call."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def done(self) -> "Said":
        assert self.code == 0, self
        return self


@dataclass(frozen=True, slots=True)
class Command:
    """Calls ``hacore -c CONFIG``."""

    config: Path

    def __call__(self, *words: object, stdin: str = "", environment: Mapping[str, str] | None = None) -> Said:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("HACORE_", "PATRONI", "DCS_URL"))}
        done = subprocess.run(
            [*PROGRAM, "-c", str(self.config), *map(str, words)],
            input=stdin,
            env={**clean, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)
