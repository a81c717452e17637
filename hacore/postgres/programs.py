"""The programs of one PostgreSQL installation: where they are, of which version, and which parameters they know."""

import logging
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hacore.errors import ConfigError, DataDirectoryError

logger = logging.getLogger(__name__)

_QUESTION_DEADLINE_S: Final = 10.0
_LOOK_AGAIN_S: Final = 1.0  # a turn asks for the version several times; an upgrade is seen by the next
_OLDEST: Final = 13
_FIELDS: Final = 7
# Nothing of the agent's own environment: a PGHOST or PGPASSWORD there is not meant for these.
C_LOCALE: Final[Mapping[str, str]] = {"LANG": "C", "LC_ALL": "C"}
ENVIRONMENT: Final[Mapping[str, str]] = {**C_LOCALE, "PATH": "/usr/local/bin:/usr/bin:/bin", "TZ": "UTC"}


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownParameter:
    """One line of ``postgres --describe-config``; limits in the parameter's base unit."""

    name: str
    kind: str  # BOOLEAN, INTEGER, REAL, STRING or ENUM
    context: str  # POSTMASTER: takes effect at a start only
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class _Build:
    """What one binary answered, as long as it is the same file."""

    stamp: tuple[str, int, int]
    version: int
    parameters: Mapping[str, KnownParameter]


class Programs:
    """Programs by their usual name, in ``bin_dir`` or on PATH, with the configured replacements."""

    def __init__(self, bin_dir: str | None, names: Mapping[str, str] | None = None) -> None:
        self._bin_dir = bin_dir
        self._names = dict(names or {})
        self._build: _Build | None = None
        self._looked_at = 0.0

    def path(self, program: str) -> str:
        """Return the path of a program.

        :raises ConfigError: there is none.
        """
        name = self._names.get(program, program)
        found = shutil.which(name, path=self._bin_dir) if self._bin_dir else shutil.which(name)
        if found is None:
            where = self._bin_dir or "PATH"
            raise ConfigError(f"{where}: no program {name}, want PostgreSQL's: set postgresql.bin_dir")
        return str(Path(found).absolute())

    def run(self, program: str, *arguments: str, timeout_s: float = _QUESTION_DEADLINE_S) -> subprocess.CompletedProcess[str]:
        """Ask a program a quick question; its exit code is the caller's affair.

        :raises DataDirectoryError: it did not answer in time, or could not be started.
        """
        argv = (self.path(program), *arguments)
        try:
            return subprocess.run(
                argv,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                env=dict(ENVIRONMENT),
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DataDirectoryError(f"{argv[0]}: no answer: {error}") from error

    @property
    def version(self) -> int:
        """The server's version as ``server_version_num`` has it, 150004."""
        return self._asked().version

    @property
    def major(self) -> int:
        """The server's major version."""
        return self.version // 10000

    @property
    def parameters(self) -> Mapping[str, KnownParameter]:
        """Every parameter that the server knows without an extension, by lower-case name."""
        return self._asked().parameters

    def _asked(self) -> _Build:
        now = time.monotonic()
        if self._build is not None and now - self._looked_at < _LOOK_AGAIN_S:
            return self._build
        self._looked_at = now
        path = self.path("postgres")
        found = Path(path).stat()
        stamp = (path, found.st_ino, found.st_mtime_ns)
        if self._build is None or self._build.stamp != stamp:
            version = parse_version(self.run("postgres", "--version").stdout)
            described = self.run("postgres", "--describe-config").stdout
            self._build = _Build(stamp, version, parse_described(described))
        return self._build


def parse_version(text: str) -> int:
    """Read ``postgres (PostgreSQL) 15.4 (Debian ...)`` as 150004; a beta counts as its first release.

    :raises ConfigError: it is none, or older than we support.
    """
    match = re.search(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?", text)
    if match is None:
        raise ConfigError(f"postgres --version: {text.strip()!r}, want a version of PostgreSQL")
    major, minor = int(match[1]), int(match[2] or 0)
    if major < _OLDEST:
        raise ConfigError(f"postgres --version: {major}, want {_OLDEST} or newer")
    return major * 10000 + minor


def parse_described(text: str) -> dict[str, KnownParameter]:
    """Read the output of ``postgres --describe-config``."""
    found = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) < _FIELDS:
            continue
        name, context, _, kind, _, minimum, maximum = fields[:_FIELDS]
        is_number = kind in {"INTEGER", "REAL"}
        found[name.lower()] = KnownParameter(
            name=name,
            kind=kind,
            context=context.upper(),
            minimum=_number(minimum) if is_number else None,
            maximum=_number(maximum) if is_number else None,
        )
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
