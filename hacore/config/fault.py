"""A fault in the configuration: where it stands, what was found, what is wanted; and the exception that carries all of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from hacore.errors import ConfigError

Path = tuple[str | int, ...]  # keys and list indexes from the top of the file


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: a file and line, or a name in the environment."""

    file: str
    line: int | None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong, or, as a warning, that is not as its writer will have meant it."""

    file: str | None  # also "environment"; None: in no file, as with a missing section
    line: int | None
    path: str
    found: str | None
    wanted: str
    suggestion: str | None = None

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        where = ": ".join(part for part in (place, self.path) if part)
        found = f"found {self.found}, wanted " if self.found else ""
        hint = f"; did you mean {self.suggestion}?" if self.suggestion else ""
        return f"{where}: {found}{self.wanted}{hint}" if where else f"{found}{self.wanted}{hint}"


class ConfigFaultsError(ConfigError):
    """The configuration is wrong; all faults at once, one on each line of the message."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))

    def __reduce__(self) -> tuple[type["ConfigFaultsError"], tuple[tuple[Fault, ...]]]:
        # The message alone would come back from a child process; the faults must come too.
        return ConfigFaultsError, (self.faults,)


def nearest(found: str, known: Iterable[str]) -> str | None:
    """Return the known name that ``found`` was probably meant to be."""
    names = {name.lower(): name for name in known}
    close: Sequence[str] = get_close_matches(found.lower(), names, n=1, cutoff=0.7)
    return names[close[0]] if close else None


def dotted(path: Path) -> str:
    """Write a path as people read it: ``postgresql.pg_hba[0]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
