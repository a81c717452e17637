"""Who can reach whom, and how long a message takes. Directed: a request may arrive where its answer does not."""

import math
from typing import Final

from hacore.testing.simulation.engine import Engine

STORE: Final = "store"


class Network:
    """Links between machines and the store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._dice = engine.dice("network")
        self.healed_at = -math.inf
        self._cut: set[tuple[str, str]] = set()
        self._slow: dict[str, float] = {}
        self.loss = 0.0  # of each message to or from the store

    def cut(self, source: str, target: str) -> None:
        """Lose every message from ``source`` to ``target``."""
        self._cut.add((source, target))

    def cut_both(self, one: str, other: str) -> None:
        """Lose every message between two."""
        self.cut(one, other)
        self.cut(other, one)

    def isolate(self, one: str, everybody: list[str]) -> None:
        """Cut one off from all."""
        for other in [*everybody, STORE]:
            if other != one:
                self.cut_both(one, other)

    def slow(self, machine: str, seconds: float) -> None:
        """Delay every message from and to a machine."""
        self._slow[machine] = seconds

    def is_slow(self, machine: str) -> bool:
        """Tell whether its messages are delayed."""
        return machine in self._slow

    def heal(self) -> None:
        """Everybody reaches everybody, fast."""
        self.healed_at = self._engine.now
        self._cut.clear()
        self._slow.clear()
        self.loss = 0.0

    def reaches(self, source: str, target: str) -> bool:
        """Tell whether messages get through in this direction."""
        return source == target or (source, target) not in self._cut

    def connects(self, one: str, other: str) -> bool:
        """Tell whether both directions work, as a connection needs."""
        return self.reaches(one, other) and self.reaches(other, one)

    def delay(self, source: str, target: str) -> float:
        """Return how long the next message takes."""
        extra = max(self._slow.get(source, 0.0), self._slow.get(target, 0.0))
        return self._dice.uniform(0.0005, 0.003) + (self._dice.uniform(0.2, 1.0) * extra if extra else 0.0)

    def loses(self) -> bool:
        """Draw whether the next message to or from the store is lost."""
        return self.loss > 0 and self._dice.random() < self.loss
