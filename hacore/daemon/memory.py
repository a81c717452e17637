"""What the main process asks of the memory that the agent keeps (agent/disk.py): whether it last saw the cluster in maintenance."""

import json
import os
from typing import Final

MEMORY_NAME: Final = "memory.json"


def was_paused(state_dir: str) -> bool:
    """Tell whether the memory says so; one that is missing or cannot be read does not."""
    try:
        with open(os.path.join(state_dir, MEMORY_NAME), encoding="utf-8") as file:  # noqa: PTH118, PTH123 - no pathlib in the main process
            found = json.load(file)
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("paused") is True
