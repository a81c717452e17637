"""What a hook returned reaches the caller as it was, whatever its type."""

from collections.abc import Sequence

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
