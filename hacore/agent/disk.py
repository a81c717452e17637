"""The node's memory on its disk: one small JSON file in the state directory, replaced and fsynced as a whole (safety.md 5)."""

import json
import logging
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Final

from hacore.daemon.memory import MEMORY_NAME
from hacore.errors import DataDirectoryError
from hacore.model.lsn import Lsn
from hacore.model.memory import Memory
from hacore.postgres.files import read_if_there, write_durably

logger = logging.getLogger(__name__)

_FIELDS: Final = frozenset(field.name for field in fields(Memory))


class StateDirectory:
    """Implements :class:`hacore.ports.Disk`."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / MEMORY_NAME

    def load(self) -> Memory:
        """Read the memory; a fresh one where there is none.

        :raises DataDirectoryError: it cannot be read: what this node has promised is not known, a person must look.
        """
        text = read_if_there(self._path)
        if text is None:
            return Memory()
        try:
            found = {name: value for name, value in json.loads(text).items() if name in _FIELDS}
            memory = Memory(**found)
            return replace(memory, members=tuple(memory.members), lsn=None if memory.lsn is None else Lsn(memory.lsn))
        except (ValueError, TypeError, AttributeError) as error:
            raise DataDirectoryError(f"{self._path}: not the memory of a node: {error}") from error

    def store(self, memory: Memory) -> None:
        """Write it and wait until it is on the disk.

        :raises DataDirectoryError: the disk did not take it; nothing may rest on it.
        """
        try:
            write_durably(self._path, json.dumps(asdict(memory), separators=(",", ":")))
        except OSError as error:
            raise DataDirectoryError(f"{self._path}: {error}") from error
