"""Recovery settings that a replica method left for the WAL its copy still needs. They stand below those of the configuration."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hacore.postgres.files import read_if_there, remove_durably, write_durably

_NAME: Final = "restore_settings.json"


def read_restore_settings(state_dir: Path) -> dict[str, str]:
    """Return what the method that made the directory left."""
    text = read_if_there(state_dir / _NAME)
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def keep_restore_settings(state_dir: Path, settings: Iterable[tuple[str, str]]) -> None:
    """Keep what a method left; nothing removes what the one before left."""
    kept = dict(settings)
    if kept:
        write_durably(state_dir / _NAME, json.dumps(kept, sort_keys=True))
    else:
        remove_durably(state_dir / _NAME)
