"""What plugins of every kind may hand to the core."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One sample. ``name`` begins with the plugin's: the core writes ``hacore_plugin_`` before it, and publishes it as a gauge.

    What only grows as well: as a counter it would be published under another name. ``rate()`` works on both.
    """

    name: str
    help: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


class SectionChecker(Protocol):
    """What the core needs of the schema of a plugin's section; :class:`hacore.schema.SectionSchema` has it."""

    def __init__(self) -> None: ...

    def load(self, data: Mapping[str, object]) -> object:
        """Return the checked settings."""
