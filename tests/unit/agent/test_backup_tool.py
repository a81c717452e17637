"""What a check of a backup says of it: one that could not be made says nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hacore.agent import backup_tool
from hacore.agent.backup_ended import Ended
from hacore.agent.backup_tool import BackupTool
from hacore.errors import DataDirectoryError, FoundBadError, HacoreError, JobCancelledError, PluginUnavailableError
from hacore.hookspecs import BackupRequest, BackupSite, VerifyBackup, hookimpl
from hacore.interfaces import Backup, BackupKind, Failed, Verified
from hacore.model.backups import BackupRecord, BackupTask, BackupWork, Doubt
from hacore.model.timeline import TimelineHistory
from hacore.model.world import World
from hacore.plugins.registry import Plugin
from hacore.postgres.job import JobHandle
from tests.unit.backup.backups import NOW, backup
from tests.unit.decide.worlds import cluster, primary, world
from tests.unit.plugins.making import CONTEXT, plugin

TASK = BackupTask(id="t", work=BackupWork.VERIFY, member="a", token=1, asked_at=NOW, restores=True)
NOTHING: Any = SimpleNamespace()


class Checker:
    """Answers as it is told."""

    def __init__(self, answer: Verified | Failed | HacoreError | None) -> None:
        self._answer = answer

    @hookimpl
    def hacore_backup(self, request: BackupRequest, job: object) -> Failed:
        return Failed(reason=request.kind)

    @hookimpl
    def hacore_verify_backup(self, request: VerifyBackup, job: object) -> Verified | Failed | None:
        if isinstance(self._answer, HacoreError):
            raise self._answer
        return self._answer


@dataclass(frozen=True, kw_only=True)
class Tool(BackupTool):
    """With one backup in its list, and no server."""

    checker: Plugin

    def plugin(self) -> Plugin:
        return self.checker

    def listed(self) -> tuple[Backup, ...]:
        return (backup("one"),)

    @contextmanager
    def site(self) -> Iterator[BackupSite]:
        yield BackupSite(context=CONTEXT)


def verdict(
    answer: Verified | Failed | HacoreError | None = None,
    copy: Exception | None = None,
    job: JobHandle | None = None,
    history: TimelineHistory | None = None,
) -> tuple[bool, bool]:
    """Whether it failed, and by a fault of the backup."""

    def restored(*_: object) -> str:
        if copy is not None:
            raise copy
        return "restored and read"

    seen = world(node=primary(history=history))
    ended = carried_out(Checker(answer), TASK, restored, job or JobHandle(), seen)
    assert ended.backup == "one"
    assert ended.may_lack_wal == (isinstance(copy, FoundBadError) and copy.may_lack_wal and not ended.is_found_bad)
    return ended.error is not None, ended.is_found_bad


def seen_with(doubts: tuple[Doubt, ...]) -> World:
    return world(node=primary(), cluster=cluster(backups=BackupRecord(doubts=doubts)))


def carried_out(
    hooks: Checker, task: BackupTask, restored: Callable[..., str], job: JobHandle, seen: World
) -> Ended:  # fmt: skip
    checker = plugin(hooks, name="plain", kind="backup")
    desk = cast("Any", SimpleNamespace(latest=lambda: (seen,)))
    tool = Tool(
        registry=NOTHING, settings=NOTHING, desk=desk, instance=NOTHING, context=NOTHING, verify_by_restore=restored, checker=checker
    )
    try:
        return tool.carry_out(task, job)
    finally:
        checker.calls.end()


def test_a_backup_is_found_bad_by_the_tool_or_by_its_copy_alone() -> None:
    assert verdict() == (False, False)
    assert verdict(Verified()) == (False, False)
    assert verdict(Failed(reason="a file is damaged")) == (True, True)
    assert verdict(Verified(), FoundBadError("it does not start")) == (True, True)


@pytest.mark.parametrize("has_wal", [True, False])
def test_a_copy_that_does_not_start_is_no_news_of_a_backup_whose_wal_may_be_on_its_way(
    has_wal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether anybody has noted a doubt about it or not: not every backup was made by hacore."""
    monkeypatch.setattr(backup_tool, "has_all_of", lambda *_, **__: has_wal)
    unstarted = FoundBadError("WAL ends before end of online backup", may_lack_wal=True)
    assert verdict(copy=unstarted, history=TimelineHistory(timeline=1)) == (True, has_wal)
    assert verdict(copy=FoundBadError("pages are damaged"), history=TimelineHistory(timeline=1)) == (True, True)


@pytest.mark.parametrize(
    "copy", [DataDirectoryError("no room"), OSError("no place"), PluginUnavailableError("the repository is away")], ids=type
)
def test_a_copy_that_could_not_be_made_says_nothing_of_the_backup(copy: Exception) -> None:
    assert verdict(copy=copy) == (True, False)


def test_a_repository_that_is_away_and_work_that_was_cancelled_say_nothing_of_it() -> None:
    with pytest.raises(PluginUnavailableError):
        verdict(PluginUnavailableError("away"))
    cancelled = JobHandle()
    cancelled.cancel("max_duration is over")
    with pytest.raises(JobCancelledError):
        verdict(Failed(reason="ended with -15"), job=cancelled)
    with pytest.raises(JobCancelledError):
        verdict(copy=FoundBadError("it does not start"), job=cancelled)


@pytest.mark.parametrize(("doubts", "kind"), [((), BackupKind.INCREMENTAL), ((Doubt(backup="one"),), BackupKind.FULL)])
def test_after_a_check_has_found_the_newest_bad_the_next_is_a_full_one(doubts: tuple[Doubt, ...], kind: BackupKind) -> None:
    task = replace(TASK, work=BackupWork.BACKUP, kind=str(BackupKind.INCREMENTAL))
    assert carried_out(Checker(None), task, str, JobHandle(), seen_with(doubts)).error == kind
