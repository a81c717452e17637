"""Where the configuration of a command comes from: an option, the environment, or a place where one usually stands.

It opens nothing and knows no key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

VARIABLES: Final = ("HACORE_CONFIG_FILE", "PATRONICTL_CONFIG_FILE")
_AT_HOME: Final = (".config/hacore/hacore.yml", ".config/patroni/patronictl.yaml")
_SYSTEM: Final = Path("/etc/hacore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What was said on the command line before the command."""

    config_file: str | None
    dcs_url: str | None
    insecure: bool
    environ: Mapping[str, str] = field(repr=False)
    home: Path
    system: Path = _SYSTEM

    @property
    def settings(self) -> dict[str, str]:
        """Return the environment without the variables that only name a file."""
        return {name: value for name, value in self.environ.items() if name not in VARIABLES}

    def path(self, named: str | None = None) -> str | None:
        """Return the file to read; ``None``: the environment holds the settings, if anything does.

        :param named: a file that the command itself was given.
        """
        said = [named, self.config_file, *(self.environ.get(name) for name in VARIABLES)]
        for one in said:
            if one:
                return one
        for name in _AT_HOME:
            if (self.home / name).is_file():
                return str(self.home / name)
        found = sorted(self.system.glob("*.yml")) if self.system.is_dir() else []
        return str(found[0]) if len(found) == 1 else None
