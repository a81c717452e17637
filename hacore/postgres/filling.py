"""Which directories of tablespaces a tool is filling: each was empty before, so that all of PostgreSQL's own in it is of that copy.

A link alone does not say whose its target is: in a copy that is half made it may lead into a live server's tablespace.
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Final

from hacore.postgres.files import read_if_there, remove_durably, write_durably

NAME: Final = "filling.json"


class Filling:
    """The directories that were handed to a tool, from before it begins until its copy is whole or gone."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / NAME

    def note(self, places: Collection[str]) -> None:
        """Note them, before anything is put there."""
        if places:
            write_durably(self._path, json.dumps(sorted(places)))

    def read(self) -> tuple[Path, ...]:
        """Return them; a note that cannot be understood names none: nothing is removed on a guess."""
        try:
            found = json.loads(read_if_there(self._path) or "[]")
        except ValueError:
            return ()
        return tuple(Path(one) for one in found if isinstance(one, str)) if isinstance(found, list) else ()

    def forget(self) -> None:
        """The copy is whole, and the directories are its own like any other; or there is nothing of it any more."""
        if self._path.parent.exists():
            remove_durably(self._path)
