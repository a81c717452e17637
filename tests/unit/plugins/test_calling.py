"""What a hook returned reaches the caller as it was, whatever its type; but for text of any length, which is cut."""

from collections.abc import Sequence

import pytest

from hacore.errors import HacoreError, PluginUnavailableError
from hacore.hookspecs import BackupPlugin, BackupRequest, ListBackups, RestoreRequest, hookimpl
from hacore.hookspecs.backup import BackupSite
from hacore.interfaces import Backup, Failed, Job
from tests.unit.plugins.making import CONTEXT, plugin

SITE = BackupSite(context=CONTEXT)


class TwoBackups(BackupPlugin):
    @hookimpl
    def hacore_list_backups(self, request: ListBackups) -> list[Backup]:
        return [Backup(id="1"), Backup(id="2")]

    @hookimpl
    def hacore_backup(self, request: BackupRequest, job: Job) -> Failed:
        return Failed(reason="no")

    @hookimpl
    def hacore_restore(self, request: RestoreRequest, job: Job) -> Failed:
        return Failed(reason="no")


def test_a_list_that_is_the_one_answer_is_not_taken_for_many_answers() -> None:
    found = plugin(TwoBackups(), kind="backup").calls.call("hacore_list_backups", Sequence, limit_s=10, request=ListBackups(site=SITE))
    assert found == [Backup(id="1"), Backup(id="2")]


class Talkative:
    """A backup plugin that says more than anybody can show."""

    def __init__(self, said: object = None, raised: Exception | None = None) -> None:
        self._said, self._raised = said, raised

    @hookimpl
    def hacore_list_backups(self, request: ListBackups) -> list[Backup]:
        return []

    @hookimpl
    def hacore_backup(self, request: BackupRequest, job: Job) -> Failed:
        if self._raised is not None:
            raise self._raised
        return Failed(reason=self._said, untouched=True)  # type: ignore[arg-type]


def ask(talkative: Talkative) -> object:
    return plugin(talkative, kind="backup").calls.call("hacore_backup", Backup, Failed, limit_s=10, request=None, job=None)


@pytest.mark.parametrize(
    ("said", "heard"), [("no", "no"), ("x" * 2_000_000, f"{'x' * 497}..."), (ValueError("y"), "y")], ids=["short", "long", "no text"]
)
def test_the_text_of_an_answer_is_cut(said: object, heard: str) -> None:
    assert ask(Talkative(said)) == Failed(reason=heard, untouched=True)


@pytest.mark.parametrize("raised", [PluginUnavailableError("x" * 2_000_000), KeyError("x" * 2_000_000)], ids=["on purpose", "fault"])
def test_the_text_of_what_was_raised_is_cut(raised: Exception) -> None:
    with pytest.raises(HacoreError) as caught:
        ask(Talkative(raised=raised))
    assert len(str(caught.value)) == 500
