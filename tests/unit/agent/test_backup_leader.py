"""What a leader asks its archive for, while somebody waits, and what it does about work that is due."""

from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from hacore.agent.backup_leader import BackupLeader
from hacore.agent.backup_store import BackupStore, Change
from hacore.backup.policy import BackupPolicy, Prefer
from hacore.backup.retention import Retention
from hacore.backup.schedule import Schedule
from hacore.model.backups import BackupRecord, BackupWork
from hacore.model.clock import BootClock, Instant
from hacore.model.lsn import Lsn
from hacore.model.timeline import TimelineHistory, TimelineSwitch
from tests.unit.backup.backups import NOW, SYSTEM_ID, backup
from tests.unit.decide import worlds
from tests.unit.decide.worlds import cluster, member


def test_an_archive_that_never_answers_has_no_history_of_a_branch(tmp_path: Path) -> None:
    def history(command: str) -> TimelineHistory | None:
        instance = SimpleNamespace(
            layout=SimpleNamespace(wal_dir=tmp_path, state_dir=tmp_path, data_dir=tmp_path),
            writing=nullcontext(),
            plan=lambda *_, **__: SimpleNamespace(recovery={"restore_command": command}),
            server_environment=dict[str, str],
        )
        tool: Any = SimpleNamespace(instance=instance)
        return BackupLeader(store=cast("Any", None), tool=tool, completion=cast("Any", None), clock=BootClock(), new_id=str).history_of(7)

    branch = TimelineHistory(timeline=7, switches=(TimelineSwitch(timeline=1, switchpoint=Lsn(0x5000000), reason="why"),))
    assert history("printf '1\\t0/5000000\\twhy\\n' > %p") == branch
    assert history("sleep 600") is None
    assert not list(tmp_path.iterdir())


NO_STANDBY = cluster("a", members=(member("a", role="primary"), member("b", replication_state="in archive recovery")))
STREAMS = cluster("a", members=(member("a", role="primary"), member("b", replication_state="streaming")))


class Stage:
    """A leader with a nightly backup on standbys only, by a clock, a store and a list that the test has."""

    def __init__(self) -> None:
        self.view, self.record, self.at = NO_STANDBY, BackupRecord(), 0.0
        policy = BackupPolicy(
            schedule=Schedule(expression="0 3 * * *"),
            verify=Schedule(expression="0 4 * * *"),
            retention=Retention(min_count=1),
            prefer=Prefer.STANDBY_ONLY,
        )
        listed = (backup("older", 3), backup("old", 2))
        tool = SimpleNamespace(name="tool", settings=SimpleNamespace(backup=policy), plugin=lambda: None, listed=lambda: listed)
        completion = SimpleNamespace(settled=lambda *_: ())
        ids = (str(number) for number in count())
        self.leader = BackupLeader(
            store=cast("BackupStore", self),
            tool=cast("Any", tool),
            completion=cast("Any", completion),
            clock=self,
            new_id=lambda: next(ids),
        )

    def now(self) -> Instant:
        return self.at

    def wall(self) -> datetime:
        return NOW + timedelta(seconds=self.at)

    def change(self, change: Change, *, as_leader: bool = False) -> BackupRecord | None:
        changed = change(self.record, self.view)
        self.record = changed or self.record
        return changed

    def turn(self, after_s: float = 0.0) -> BackupWork | None:
        """The work that goes on after two turns: the first may do no more than read the list."""
        self.at += after_s
        for _ in range(2):
            world = worlds.leading(cluster=replace(self.view, backups=self.record), node=worlds.primary(system_id=SYSTEM_ID))
            self.leader.turn(world)
        return self.record.task.work if self.record.task is not None else None


def test_a_backup_that_no_member_may_make_is_told_as_a_failure_and_keeps_nothing_else_waiting() -> None:
    stage = Stage()
    assert stage.turn() is None
    (failed,) = stage.record.results
    assert (failed.work, failed.member, failed.failures) == (BackupWork.BACKUP, "a", 1)
    assert "standby_only" in str(failed.error)
    assert stage.turn() is BackupWork.VERIFY
    stage.record = replace(stage.record, task=None, verified=(("old", stage.wall()),))
    assert stage.turn() is BackupWork.EXPIRE


def test_a_backup_that_no_member_may_make_is_begun_within_the_hour_of_a_standby_s_return() -> None:
    stage = Stage()
    failures = []
    for _ in range(8):
        stage.turn(3601)
        failures.append(next(one.failures for one in stage.record.results if one.work is BackupWork.BACKUP))
        stage.record = replace(stage.record, task=None)
    assert failures == [1, 2, 3, 3, 3, 3, 3, 3]
    stage.view = STREAMS
    assert stage.turn(3601) is BackupWork.BACKUP
