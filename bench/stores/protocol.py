"""What every store can be asked by those who measure.

Requests and writes are what the server itself has counted, never what a client says; a stream that stays open counts once, when it
begins or ends. Where a server counts nothing of the kind, put a proxy before it that does, and say so in docs/benchmarks.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import psutil

NAMESPACE: Final = "/service/"
NAMES: Final = ("n1", "n2", "n3")  # of the nodes of a cluster


@dataclass(frozen=True, slots=True)
class Count:
    """What a store has been asked since it was started."""

    requests: float
    writes: float  # of these, those that ask for a change (refused ones too); what only keeps something alive is none

    def __sub__(self, before: "Count") -> "Count":
        return Count(self.requests - before.requests, self.writes - before.writes)


class BenchStore(Protocol):
    """A running store of one product's cluster."""

    @property
    def section(self) -> Mapping[str, Any]:
        """What stands in the configuration of a node, of either product."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What the environment of an agent has to say, of either product."""

    def records(self, scope: str) -> dict[str, str]:
        """Every record of a cluster, by its name; the lock as ``leader``."""

    def lease(self, scope: str) -> tuple[float, float]:
        """Seconds that the lock has left, and those that it is given."""

    def count(self) -> Count:
        """What it has been asked so far. Asking this does not count; it may cost the server something."""

    def processes(self) -> list[psutil.Process]:
        """The servers."""
