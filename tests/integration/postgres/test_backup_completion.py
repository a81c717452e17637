"""A backup counts once the WAL of its end is archived: asked of a real primary and its archive."""

import shutil
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from hacore.agent.backup_completion import ARCHIVE_S, BackupCompletion
from hacore.agent.backup_store import BackupStore, Change
from hacore.config.postgres_settings import PostgresSettings
from hacore.errors import PluginUnavailableError
from hacore.interfaces import Backup
from hacore.model.backups import BackupRecord, BackupResult, BackupTask, BackupWork
from hacore.model.clock import Instant
from hacore.model.cluster import ClusterView
from hacore.model.lsn import Lsn
from hacore.postgres.archiver import ready_files
from tests.integration.plugins.archive_in_a_directory import DirectoryArchive
from tests.integration.postgres.conftest import MakeNode
from tests.integration.postgres.node import Node
from tests.integration.postgres.test_archive import IMMEDIATE, archived_primary, archives, fill, standby_of, store, until, values

__all__ = ["store"]

SEGMENT = 16 << 20
AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
MADE = BackupResult(id="t", work=BackupWork.BACKUP, member="b", began_at=AT, ended_at=AT, backup="one")
TASK = BackupTask(id="t", work=BackupWork.BACKUP, member="b", token=1, asked_at=AT, taken=True, made=MADE)
DONE = replace(MADE, asked_at=AT)


class SteppedClock:
    """Stands still unless it is moved."""

    def __init__(self) -> None:
        self.at = 100.0

    def now(self) -> Instant:
        return self.at

    def wall(self) -> datetime:
        return AT


class KeptStore:
    """The record as the leader changes it."""

    def __init__(self) -> None:
        self.record = BackupRecord(task=TASK)

    def change(self, change: Change, *, as_leader: bool = False) -> BackupRecord | None:
        assert as_leader
        changed = change(self.record, ClusterView(sent_at=0.0))
        self.record = changed or self.record
        return changed


class Leading:
    """A leader's turns."""

    def __init__(self, node: Node, *backups: Backup) -> None:
        self.clock, self.store, self._node, self._backups = SteppedClock(), KeptStore(), node, backups
        self.fault: str | None = None  # of the tool
        self._completion = BackupCompletion(
            store=cast("BackupStore", self.store), instance=node.instance, clock=self.clock, listed=self._listed
        )

    def _listed(self) -> tuple[Backup, ...]:
        if self.fault is not None:
            raise PluginUnavailableError(self.fault)
        return self._backups

    def settled(self) -> frozenset[str]:
        """The backups in doubt whose WAL has been archived since."""
        return self._completion.settled(self.store.record.doubts, self._backups or (Backup(id="one"),), self._node.read().history)

    def turn(self, token: int = 1) -> BackupResult | None:
        """Make one; the result, once there is one."""
        if self.store.record.task is not None:
            self._completion.turn(TASK, MADE, token, self._node.read().history)
        return self.store.record.result(BackupWork.BACKUP)


def end_of(node: Node) -> str:
    return str(node.sql("SELECT pg_walfile_name((pg_current_wal_lsn() - 1)::pg_lsn)")[0][0])


@pytest.mark.parametrize("fresh", [False, True], ids=["in the middle of a segment", "just after a switch"])
def test_it_is_done_when_its_end_is_archived(make_node: MakeNode, store: DirectoryArchive, fresh: bool) -> None:
    node = archived_primary(make_node, store)
    if fresh:
        node.sql("SELECT pg_switch_wal()")
    [(needed,)] = node.sql("SELECT pg_walfile_name(pg_current_wal_insert_lsn() + 1)")  # where the next record will stand
    assert needed not in store.names()
    leading = Leading(node)
    until(lambda: leading.turn() is not None, "it is done")
    assert leading.turn() == DONE
    assert (needed in store.names(), leading.store.record.doubts) == (True, ())


def test_it_is_not_done_while_the_archive_takes_nothing_and_that_is_said_in_the_end(make_node: MakeNode, store: DirectoryArchive) -> None:
    node = make_node("a")
    archives(node, store, held="another cluster has it")
    node.create_cluster()
    leading = Leading(node)
    assert leading.turn() is None
    ended = end_of(node)
    leading.clock.at += ARCHIVE_S - 1
    assert leading.turn() is None
    assert leading.turn(token=2) is None  # another lease has its own time
    leading.clock.at += ARCHIVE_S + 1
    result = leading.turn(token=2)
    assert result is not None
    assert (result.backup, result.failures) == ("one", 1)
    assert "one is made, but cannot be restored yet" in str(result.error)
    assert ended < end_of(node)
    assert store.names() == []


def test_it_is_in_doubt_until_the_archive_has_its_end(make_node: MakeNode, store: DirectoryArchive) -> None:
    node = make_node("a")
    archives(node, store, held="it takes nothing")
    node.create_cluster()
    leading = Leading(node)
    assert leading.turn() is None
    leading.clock.at += ARCHIVE_S + 1
    assert leading.turn() is not None
    (doubt,) = leading.store.record.doubts
    assert (doubt.backup, len(doubt.lacks), leading.settled()) == ("one", 1, frozenset())
    archives(node, store)
    node.postgres.reload()
    until(lambda: leading.settled() == {"one"}, "its end is archived")
    assert doubt.lacks[0] in store.names()


def led_after_another(make_node: MakeNode, store: DirectoryArchive) -> tuple[Node, Backup, Path]:
    """A new leader, a backup that ends where the one before led, and the last WAL of that one, which it has not archived."""
    a = archived_primary(make_node, store)
    b = standby_of(make_node, store, a)
    archives(a, store, held="it takes nothing more")
    a.postgres.reload()
    full = fill(a, 1, 2)
    end = Lsn.parse(a.sql("SELECT pg_current_wal_lsn()")[0][0])
    until(lambda: values(b) == {1, 2}, "all is streamed")
    a.do(IMMEDIATE)
    b.lead(2)
    assert b.promote(2).is_done
    made = Backup(id="one", timeline=1, start_lsn=Lsn(end - 2 * SEGMENT), stop_lsn=end)
    return b, made, a.instance.layout.wal_dir / full[-1]


def is_pushed(node: Node, store: DirectoryArchive) -> bool:
    """Tell whether nothing of the second leader waits for its archiver."""
    return bool(store.segments(2)) and not ready_files(node.instance.layout.wal_dir)


def test_what_a_leader_before_has_not_archived_is_asked_of_the_archive(make_node: MakeNode, store: DirectoryArchive) -> None:
    node, backup, lost = led_after_another(make_node, store)
    leading = Leading(node, backup)
    until(lambda: leading.turn(token=2) is None and is_pushed(node, store), "its own end is archived")
    leading.clock.at += 11
    assert leading.turn(token=2) is None
    shutil.copy(lost, store.wal)
    leading.clock.at += 11
    until(lambda: leading.turn(token=2) == DONE, "it is done")


def test_a_backup_whose_wal_was_lost_with_a_leader_before_is_not_called_good(make_node: MakeNode, store: DirectoryArchive) -> None:
    node, _, lost = led_after_another(make_node, store)
    leading = Leading(node)  # the tool tells nothing of it
    until(lambda: leading.turn(token=2) is None and is_pushed(node, store), "its own end is archived")
    leading.clock.at += ARCHIVE_S + 1
    result = leading.turn(token=2)
    assert result is not None
    assert "one was made before a failover" in str(result.error)
    (doubt,) = leading.store.record.doubts
    assert (lost.name in doubt.lacks, leading.settled()) == (True, frozenset())
    shutil.copy(lost, store.wal)
    assert leading.settled() == {"one"}


def test_a_list_that_cannot_be_read_is_told_and_no_failover(make_node: MakeNode, store: DirectoryArchive) -> None:
    node = archived_primary(make_node, store)
    leading = Leading(node)
    leading.fault = "the repository is away"

    def is_told() -> bool:
        with suppress(PluginUnavailableError):
            assert leading.turn() is None
            return False
        return True

    until(is_told, "its end is archived, and the tool is asked")
    leading.clock.at += ARCHIVE_S - 1
    assert is_told()
    leading.clock.at += 2  # it is not asked again yet
    result = leading.turn()
    assert result is not None
    assert "is not known after 600 s: the repository is away" in str(result.error)
    (doubt,) = leading.store.record.doubts
    assert (len(doubt.lacks), doubt.is_unknown) == (1, True)


def without_a_command(settings: PostgresSettings) -> PostgresSettings:
    return replace(settings, parameters={**settings.parameters, "archive_mode": "on", "archive_command": ""})


@pytest.mark.parametrize("kind", ["off", "on"])
def test_it_is_done_at_once_where_nothing_is_archived(make_node: MakeNode, kind: str) -> None:
    node = make_node("a", change=without_a_command) if kind == "on" else make_node("a")
    node.create_cluster()
    assert node.sql("SHOW archive_mode") == [(kind,)]
    assert Leading(node).turn() == DONE
