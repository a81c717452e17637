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
        self.fault: str | None = None  # why the disk did not take what was to be written last

    def prove(self) -> None:
        """Write what is remembered, changed or not, before something is asked for that will have to be written.

        :raises DataDirectoryError: the disk did not take it.
        """
        self._write(self.memory)

    def store(self, memory: Memory) -> None:
        """Write the memory to the disk where it has changed.

        :raises DataDirectoryError: the disk did not take it; what rests on it must not be done.
        """
        if memory != self._stored or self.fault is not None:
            self._write(memory)
        self.memory = memory

    def store_holding(self, memory: Memory) -> None:
        """Write which lease is held; where the disk says so already, an agent that was started again needs no more of it.

        :raises DataDirectoryError: the disk does not say so, and did not take it.
        """
        if _holding(memory) == _holding(self._stored):
            self.note(memory)
        else:
            self.store(memory)

    def note(self, memory: Memory) -> None:
        """Remember what was merely seen: a disk that is full does not stop the loop, it is tried again with the next turn."""
        try:
            self.store(memory)
        except DataDirectoryError as error:
            logger.error("memory was not written", extra={"error": str(error)})  # noqa: TRY400 - the disk's fault, not ours
            self.memory = memory

    def _write(self, memory: Memory) -> None:
        try:
            self._disk.store(memory)
        except DataDirectoryError as error:
            self.fault = str(error)
            raise
        self._stored, self.fault = memory, None


def _holding(memory: Memory) -> tuple[object, ...]:
    return memory.store_id, memory.token, memory.held_token, memory.held_instance
