"""What PostgreSQL puts into ``archive_command`` and ``restore_command`` before it runs them (its documentation, "Continuous Archiving")."""

import re
from collections.abc import Mapping
from typing import Final

_MARK: Final = re.compile("%.", re.DOTALL)


def filled(command: str, marks: Mapping[str, str]) -> str:
    """Return a command with its marks (``%f``, ``%p``, ...) replaced and ``%%`` as a percent sign; any other mark stays."""
    values = {"%%": "%", **marks}
    return _MARK.sub(lambda found: values.get(found[0], found[0]), command)
