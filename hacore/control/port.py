"""What a command needs of the loop. The loop implements it; tests bring a scripted one. All methods may be called from any thread."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from hacore.backup.leading import Wanted
from hacore.backup.policy import BackupPolicy
from hacore.interfaces import Backup, Dcs
from hacore.model.backups import BackupRecord, BackupTask
from hacore.model.commands import Command
from hacore.model.timeline import TimelineHistory
from hacore.model.world import Decision, World

T = TypeVar("T")


class Loop(Protocol):
    """The agent's loop, seen from the threads that answer commands."""

    def call(self, fn: Callable[[Dcs, World], T], timeout_s: float) -> T:
        """Run ``fn`` in the loop's thread between two turns, with the store's session and the newest world.

        ``fn`` keeps every call to the store within ``timeout_s``.

        :raises DcsUnavailableError: ``fn`` raised it, no turn has been made yet, or ``fn`` was not begun in time (it never will be).
        """

    def latest(self) -> tuple[World, Decision] | None:
        """Return the newest turn, ``None`` before the first."""

    def wait_for(self, predicate: Callable[[World, Decision], T | None], timeout_s: float) -> T | None:
        """Wait until ``predicate`` answers, asking it now and after each turn; ``None`` when the time is over."""

    def submit(self, command: Command) -> None:
        """Put ``command`` into the world of the next turn, which begins at once. It stays there until a rule has answered it."""

    def result(self, command_id: str, timeout_s: float) -> tuple[bool, str] | None:
        """Wait for the answer to a command: whether it was done, and the text for the person; ``None`` when the time is over."""

    def cancel(self, command_id: str) -> bool:
        """Take a command out of the world; ``False`` where it is not there any more."""

    def wake(self) -> None:
        """Begin the next turn at once."""


class Backups(Protocol):
    """What a command needs of the cluster's backups."""

    def begin(self, wanted: Wanted, *, member: str | None = None) -> BackupTask:
        """Give work to a member.

        :raises HacoreError: nothing was begun, and why.
        """

    def cancel(self) -> BackupTask | None:
        """End the work that goes on; return what it was."""

    def record(self) -> BackupRecord:
        """Read what stands in the store.

        :raises HacoreError: it could not be read.
        """

    def why_not_aside(self) -> str | None:
        """Return why a restore could not keep the data directory of this node aside; ``None``: it can."""

    def listed(self) -> tuple[Backup, ...]:
        """Read the tool's list.

        :raises PluginUnavailableError: it could not be read.
        """

    def history_of(self, timeline: int) -> TimelineHistory | None:
        """Return the history of a timeline of this cluster, also of one that was given up; ``None``: nobody has it, or answers in time."""

    def policy(self) -> BackupPolicy:
        """Return what the configuration says."""

    def plugin(self) -> str | None:
        """Return the name of the configured plugin."""
