"""The publisher that tells listeners and the journal what has happened."""

from collections.abc import Callable

from hacore.model.clock import Clock, Instant
from hacore.model.events import Event
from hacore.model.world import Decision, World
from hacore.publish.archive_events import ArchiveTold, tell_of_archive
from hacore.publish.backup_events import BackupsTold, tell_of_backups
from hacore.publish.events import Happening, Told, narrate
from hacore.publish.handover import Progress, follow
from hacore.publish.journal import Journal


class Narrator:
    """Compares each turn with what was told before.

    :param tell: gets every event; returns at once.
    """

    def __init__(self, clock: Clock, tell: Callable[[Event], None], journal: Journal) -> None:
        self._clock = clock
        self._tell = tell
        self._journal = journal
        self._next_id = journal.last_id + 1
        self._told = Told()
        self._of_archive = ArchiveTold()
        self._of_backups: BackupsTold = None
        self._progress = Progress()
        self._released_at: Instant | None = None

    def published(self, world: World, decision: Decision) -> None:
        """Tell what this turn has changed."""
        self._told, happenings = narrate(self._told, world, decision)
        self._progress, course = follow(self._progress, world, released_at=self._released_at, now=self._clock.now())
        if world.lease is None:
            self._released_at = None
        self._of_archive, archive = tell_of_archive(self._of_archive, world)
        self._of_backups, backups = tell_of_backups(self._of_backups, world)
        for happening in (*happenings, *backups, *(one for one in (course, archive) if one is not None)):
            self._emit(happening, world)

    def lease_ends(self) -> None:
        """Note when the lock is given back."""
        self._released_at = self._clock.now()

    def lease_renewed(self, fence_at: Instant) -> None:
        """Nothing to tell."""

    def _emit(self, happening: Happening, world: World) -> None:
        event = Event(
            id=self._next_id,
            at=world.wall,
            kind=happening.kind,
            scope=world.me.scope,
            member=world.me.name,
            role=happening.role,
            token=world.lease.token if world.lease is not None else None,
            timeline=world.node.timeline,
            data=happening.data,
        )
        self._next_id += 1
        self._journal.append(event)
        self._tell(event)
