"""Kind ``command``: commands beside those of ``hacore``."""
# A specification uses no argument. Its ``return None`` says to type checkers that the hook is optional (``any_kind``).

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from hacore.hookspecs.any_kind import AnyPlugin
from hacore.hookspecs.marks import hookspec

if TYPE_CHECKING:
    import click  # only the command line loads it


class CommandPlugin(AnyPlugin, Protocol):
    """Kind ``command``: many, chosen by being installed."""

    @hookspec
    def hacore_commands(self) -> Sequence["click.Command"] | None:
        """Return commands to stand beside the built-in ones of ``hacore``.

        Called in the process of the command line, before it knows which command is wanted: return quickly, import late. A name that is
        taken already is refused and said. A class in this group alone is built with an empty mapping where its section is missing.
        """
