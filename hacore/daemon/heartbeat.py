"""The agent's heartbeat: a word in shared memory that moves with every turn, and a watch that tells a slow agent from a stopped one.

Does not know what is done about an agent that stands still.
"""

import mmap
from collections.abc import Mapping
from typing import Final, Self

from hacore.guard.kernel import NS_PER_S
from hacore.guard.word import create_memory

HEARTBEAT_VARIABLE: Final = "HACORE_AGENT_HEARTBEAT_FD"
_WORDS: Final = 2  # beats, limit in nanoseconds
_LIMIT_AT_FIRST_S: Final = 60.0  # until the agent says: a cold start on a busy machine takes its time
_TICK_S: Final = 12.0  # a little longer than a usual turn, so that the turn itself is the beat
_TICKS_IN_LIMIT: Final = 2.5  # the third look in a row that sees no move ends the agent
_LONGEST_STEP: Final = 1.25  # of a tick; more than that between two looks, and it was the watcher that did not run


class Heartbeat:
    """One mapping of the two words, in the agent or in the main process."""

    def __init__(self, fd: int) -> None:
        self._words = memoryview(mmap.mmap(fd, mmap.PAGESIZE))[: 8 * _WORDS].cast("Q")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self | None:
        """The heartbeat that the main process handed down; ``None`` for an agent that runs alone."""
        fd = environment.get(HEARTBEAT_VARIABLE)
        return None if fd is None else cls(int(fd))

    def beat(self) -> None:
        """Say that the loop moves."""
        self._words[0] = (self._words[0] + 1) % (1 << 64)

    @property
    def tick_s(self) -> float:
        """How long either side may wait between two beats, or looks at them."""
        return min(_TICK_S, self.limit_s / _TICKS_IN_LIMIT)

    def set_limit(self, limit_s: float) -> None:
        """Say after how long without a beat the agent counts as hung: the ttl in force."""
        self._words[1] = round(limit_s * NS_PER_S)

    @property
    def beats(self) -> int:
        """How often the agent said that it moves."""
        return self._words[0]

    @property
    def limit_s(self) -> float:
        """After how long without a beat the agent counts as hung."""
        return self._words[1] / NS_PER_S if self._words[1] else _LIMIT_AT_FIRST_S

    def clear(self) -> None:
        """Forget what the agent before said."""
        self._words[0] = self._words[1] = 0


def create_heartbeat() -> tuple[int, Heartbeat]:
    """The descriptor to hand down, and the main process's own mapping."""
    fd = create_memory("hacore-heartbeat")
    return fd, Heartbeat(fd)


class StillWatch:
    """How long the agent has stood still while the watcher itself was running.

    Time in which the watcher did not run (stopped, suspended machine) is not counted: the agent could not run then either, or would
    have moved its word.
    """

    def __init__(self) -> None:
        self._beats: int | None = None
        self._looked_s = 0.0
        self._still_s = 0.0

    def look(self, beats: int, now_s: float, tick_s: float) -> float:
        """Seconds without a beat, up to now, for a watcher that looks at least each ``tick_s``."""
        if beats != self._beats:
            self._beats, self._still_s = beats, 0.0
        else:
            self._still_s += min(now_s - self._looked_s, tick_s * _LONGEST_STEP)
        self._looked_s = now_s
        return self._still_s

    def reset(self) -> None:
        """A new agent: start counting again."""
        self._beats, self._still_s = None, 0.0
