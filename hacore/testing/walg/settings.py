"""What ``wal-g`` is told: its environment over its configuration file, as its manual has it. And how it says what it does."""

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

Settings = Mapping[str, str]

_LIBPQ: Final = "PG"
_MIB: Final = 1 << 20


class WalgError(Exception):
    """The command cannot be done: exit code 1."""

    exit_code = 1


class MissingArchiveError(WalgError):
    """What shall be fetched is not in the archive: exit code 74."""

    exit_code = 74


def read_settings(config: str | None) -> Settings:
    """Return what is in force: the environment, and what it lacks from the file ``config`` (YAML or JSON)."""
    path = config or os.environ.get("WALG_CONFIG_PATH")
    found = _read_file(Path(path)) if path else {}
    for name, value in found.items():
        if name.startswith(_LIBPQ):
            os.environ.setdefault(name, value)
    return {**found, **{name: value for name, value in os.environ.items() if value}}  # an empty variable is as good as none


def segment_bytes(settings: Settings) -> int:
    """Return the size of a WAL segment."""
    return whole(settings, "WALG_PG_WAL_SIZE", 16) * _MIB


def whole(settings: Settings, name: str, default: int) -> int:
    """Return a whole number."""
    try:
        return int(settings.get(name) or default)
    except ValueError as error:
        raise WalgError(f"{name}: {settings[name]!r} is no number") from error


def flag(settings: Settings, name: str) -> bool:
    """Return whether something is switched on."""
    return settings.get(name, "").lower() in {"1", "t", "true", "yes"}


def say(text: str, level: str = "INFO") -> None:
    """Write one line of log to standard error."""
    now = time.time()
    sys.stderr.write(f"{level}: {time.strftime('%Y/%m/%d %H:%M:%S', time.localtime(now))}.{int(now % 1 * 1e6):06d} {text}\n")


def _read_file(path: Path) -> dict[str, str]:
    try:
        text = path.read_text()
    except OSError as error:
        raise WalgError(f"{path}: {error.strerror}") from error
    if path.suffix in {".yaml", ".yml"}:
        import yaml  # noqa: PLC0415 - only where it is used

        content = yaml.safe_load(text)
    else:
        content = json.loads(text)
    return {str(name): _as_text(value) for name, value in (content or {}).items()}


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
