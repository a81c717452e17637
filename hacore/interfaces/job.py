"""Long work as a plugin sees it, and the two ways in which it says no."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A definite no: not now, not here."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """It did not work."""

    reason: str
    untouched: bool = False  # nothing in the data directory was changed: it need not be cleaned
    retry_after_s: float | None = None  # worth one more attempt after this time


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a program ended."""

    exit_code: int  # negative: by that signal
    output: str = field(default="", repr=False)  # the last of what it wrote to standard error and standard output


class Job(Protocol):
    """Long work, as a plugin sees it. It may be cancelled at any moment.

    :raises JobCancelledError: from every call, once the work is cancelled.
    """

    def run(
        self, argv: Sequence[str], *, environment: Mapping[str, str], on_line: Callable[[str], None] | None = None, cwd: str | None = None
    ) -> Finished:
        """Run a program in a process group of its own, with this environment alone, to its end.

        ``on_line`` gets each line of its output (a carriage return ends a line, too). Cancelling sends SIGTERM, after 10 s SIGKILL to
        the program and all its descendants.

        :raises OSError: it could not be started.
        """

    def progress(self, text: str) -> None:
        """Tell people how far the work is."""

    def wait(self, seconds: float) -> None:
        """Wait, but not longer than until the work is cancelled."""
