"""What a check of a backup says of it: one that could not be made says nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hacore.agent.backup_tool import BackupTool
from hacore.errors import DataDirectoryError, FoundBadError, HacoreError, JobCancelledError, PluginUnavailableError
from hacore.hookspecs import BackupSite, VerifyBackup, hookimpl
from hacore.interfaces import Backup, Failed, Verified
from hacore.model.backups import BackupTask, BackupWork
from hacore.plugins.registry import Plugin
from hacore.postgres.job import JobHandle
from tests.unit.backup.backups import NOW, backup
from tests.unit.plugins.making import CONTEXT, plugin

TASK = BackupTask(id="t", work=BackupWork.VERIFY, member="a", token=1, asked_at=NOW, restores=True)
NOTHING: Any = SimpleNamespace()


class Checker:
    """Answers as it is told."""

    def __init__(self, answer: Verified | Failed | HacoreError | None) -> None:
        self._answer = answer

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
    answer: Verified | Failed | HacoreError | None = None, copy: Exception | None = None, job: JobHandle | None = None
) -> tuple[bool, bool]:
    """Whether it failed, and by a fault of the backup."""

    def restored(*_: object) -> str:
        if copy is not None:
            raise copy
        return "restored and read"

    checker = plugin(Checker(answer), name="plain", kind="backup")
    desk = cast("Any", SimpleNamespace(latest=lambda: None))
    tool = Tool(
        registry=NOTHING, settings=NOTHING, desk=desk, instance=NOTHING, context=NOTHING, verify_by_restore=restored, checker=checker
    )
    try:
        ended = tool.carry_out(TASK, job or JobHandle())
        assert ended.backup == "one"
        return ended.error is not None, ended.is_found_bad
    finally:
        checker.calls.end()


def test_a_backup_is_found_bad_by_the_tool_or_by_its_copy_alone() -> None:
    assert verdict() == (False, False)
    assert verdict(Verified()) == (False, False)
    assert verdict(Failed(reason="a file is damaged")) == (True, True)
    assert verdict(Verified(), FoundBadError("it does not start")) == (True, True)


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
