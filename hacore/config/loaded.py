"""A configuration that was read and found right, with the place of every value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hacore.config.fault import Fault, Path, Place
from hacore.config.settings import LocalSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedConfig:
    """What a file, a directory or the environment said. Everything but ``local`` is for people."""

    local: LocalSettings
    warnings: tuple[Fault, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)  # as they were written
    places: Mapping[Path, Place] = field(default_factory=dict, repr=False)
    defaults: Mapping[Path, object] = field(default_factory=dict, repr=False)
    secrets: frozenset[Path] = field(default_factory=frozenset, repr=False)

    def place(self, path: Path) -> Place | None:
        """Return where a value stands; of a value inside a variable of the environment, the variable."""
        return next((self.places[path[:length]] for length in range(len(path), 0, -1) if path[:length] in self.places), None)
