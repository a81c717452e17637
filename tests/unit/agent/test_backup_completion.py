"""What is left of a backup of which was not found out what it needs: a doubt that the archive can settle."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hacore.agent.backup_completion import ARCHIVE_S, BackupCompletion
from hacore.agent.backup_store import BackupStore, Change
from hacore.errors import PluginUnavailableError, PostgresUnreachableError
from hacore.interfaces import Backup
from hacore.model.backups import BackupRecord, BackupResult, BackupTask, BackupWork, Doubt
from hacore.model.clock import Instant
from hacore.model.cluster import ClusterView
from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory, TimelineSwitch
from tests.unit.backup.backups import NOW, backup

SEGMENT = 16 << 20
HISTORY = TimelineHistory(timeline=1)
END, SWITCHED = "000000010000000000000003", "000000010000000000000004"
ONE = backup("one", start_lsn=Lsn(2 * SEGMENT), stop_lsn=Lsn(3 * SEGMENT + 1))
MADE = BackupResult(id="t", work=BackupWork.BACKUP, member="b", began_at=NOW, ended_at=NOW, backup="one")
TASK = BackupTask(id="t", work=BackupWork.BACKUP, member="b", token=1, asked_at=NOW, taken=True, made=MADE)


class Server:
    """Answers what it is asked, and archives by a command."""

    def __init__(self, directory: Path) -> None:
        self.archive = directory / "archive"
        self.archive.mkdir()
        self.is_away = False
        control = SimpleNamespace(control=SimpleNamespace(wal_segment_bytes=SEGMENT))
        shim = SimpleNamespace(restore_command=f"cp {self.archive}/%f %p 2>/dev/null")
        self.layout = SimpleNamespace(wal_dir=directory, state_dir=directory, data_dir=directory)
        self.archiving = SimpleNamespace(state=None, shim=lambda _: shim)
        self.control, self.programs = SimpleNamespace(read=lambda _: control), None
        self.server_environment = dict[str, str]

    def session(self, **_: object) -> "Server":
        return self

    def query(self, sql: str, *_: object, **__: object) -> list[tuple[object]]:
        if self.is_away:
            raise PostgresUnreachableError("no answer")
        answers: dict[str, object] = {"restore_point": "0/4000100", "walfile_name": SWITCHED, "archive_mode": True}
        return [(next((answer for word, answer in answers.items() if word in sql), None),)]

    def close(self) -> None:
        pass


class Stage:
    """A leader's turns on one backup, by a clock and a store that the test has."""

    def __init__(self, directory: Path) -> None:
        self.server, self.record, self.at, self.found = Server(directory), BackupRecord(task=TASK), 100.0, list[Backup]()
        instance = cast("Any", self.server)
        self.completion = BackupCompletion(store=cast("BackupStore", self), instance=instance, clock=self, listed=self._listed)

    def now(self) -> Instant:
        return self.at

    def wall(self) -> datetime:
        return NOW

    def change(self, change: Change, *, as_leader: bool = False) -> BackupRecord | None:
        changed = change(self.record, ClusterView(sent_at=0.0))
        self.record = changed or self.record
        return changed

    def _listed(self) -> tuple[Backup, ...]:
        raise PluginUnavailableError("the repository is away")

    def doubt(self) -> Doubt:
        """What is left when the time is over."""
        for _ in range(2):
            try:
                self.completion.turn(TASK, MADE, 1, HISTORY)
            except (PluginUnavailableError, PostgresUnreachableError):
                self.at += ARCHIVE_S + 1
        (doubt,) = self.record.doubts
        return doubt

    def is_settled(self, doubt: Doubt, one: Backup = ONE) -> bool:
        return bool(self.completion.settled([doubt], [one], HISTORY))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_where_the_repository_does_not_answer_the_wal_is_in_question_and_not_the_backup(stage: Stage) -> None:
    doubt = stage.doubt()
    assert doubt == Doubt(backup="one", lacks=(SWITCHED,), is_unknown=True)
    waits = stage.server.layout.wal_dir / "archive_status" / f"{SWITCHED}.ready"
    waits.parent.mkdir()
    waits.touch()
    assert not stage.is_settled(doubt)
    waits.unlink()
    assert stage.is_settled(doubt)


def test_what_a_server_before_wrote_of_it_is_asked_for_by_what_the_list_tells(stage: Stage) -> None:
    history = TimelineHistory(timeline=2, switches=(TimelineSwitch(timeline=1, switchpoint=Lsn(3 * SEGMENT)),))
    doubt = Doubt(backup="one", lacks=("000000020000000000000004",), is_unknown=True)
    begun = replace(ONE, timeline=2)
    assert not stage.completion.settled([doubt], [begun], history)
    (stage.server.archive / "000000010000000000000002").touch()
    assert stage.completion.settled([doubt], [begun], history) == {"one"}


def test_what_was_cancelled_or_met_no_server_is_settled_by_what_the_list_tells(stage: Stage) -> None:
    stage.server.is_away = True
    doubt = stage.doubt()
    assert doubt == Doubt(backup="one", is_unknown=True)
    assert not stage.is_settled(doubt)
    (stage.server.archive / END).touch()
    assert stage.is_settled(doubt)
    assert not stage.is_settled(doubt, backup("one", stop_lsn=None)), "the tool does not tell where it ends"
    assert not stage.is_settled(doubt, backup("one", stop_lsn=Lsn(9 * SEGMENT)))
    assert not stage.is_settled(doubt, backup("other"))


def test_what_was_found_bad_is_settled_by_no_wal(stage: Stage) -> None:
    (stage.server.archive / END).touch()
    assert not stage.is_settled(Doubt(backup="one"))
