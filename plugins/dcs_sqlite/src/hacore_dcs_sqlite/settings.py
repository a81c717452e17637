"""What stands in the section ``sqlite``, checked and frozen."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteSettings:
    """Settings of the embedded store."""

    path: Path  # of the file that all agents of the machine share
