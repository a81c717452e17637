"""The node's memory, on its disk and here."""

import logging
from typing import Final

from hacore.errors import DataDirectoryError
from hacore.model.memory import Memory, without_adoption
from hacore.ports import Disk

logger: Final = logging.getLogger(__name__)


class Remembered:
    """What this node remembers. Not thread-safe: used by the loop alone."""

    def __init__(self, disk: Disk, boot_id: str) -> None:
        self._disk = disk
        self.memory = self._stored = disk.load()
        if self.memory.adopted_boot_id != boot_id:  # an instant of another boot says nothing
            self.memory = without_adoption(self.memory)

    def store(self, memory: Memory) -> None:
        """Write the memory to the disk where it has changed.

        :raises DataDirectoryError: the disk did not take it; what rests on it must not be done.
        """
        if memory != self._stored:
            self._disk.store(memory)
            self._stored = memory
        self.memory = memory

    def note(self, memory: Memory) -> None:
        """Remember what was merely seen: a disk that is full does not stop the loop, it is tried again with the next turn."""
        try:
            self.store(memory)
        except DataDirectoryError as error:
            logger.error("memory was not written", extra={"error": str(error)})  # noqa: TRY400 - the disk's fault, not ours
            self.memory = memory
