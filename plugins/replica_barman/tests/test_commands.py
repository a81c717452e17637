"""What Barman is told and what its check of a backup takes for a verdict: a program that came to none says nothing of the backup."""

from typing import Any, cast

import pytest

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import BackupSite
from hacore.interfaces import Backup, BackupKind, BackupState, Failed, Finished, Verified
from hacore.testing.conformance.plugin import CONTEXT
from hacore_replica_barman.settings import BarmanSettings
from hacore_replica_barman.work import Work

SETTINGS = BarmanSettings(server="main", backup_directory="/barman/main", wals_directory="/barman/main/wals")
DONE = Finished(exit_code=0)


class Job:
    """Runs nothing."""

    def __init__(self, check: Finished = DONE, verify: Finished = DONE) -> None:
        self._check, self._verify = check, verify
        self.told = ""

    def run(self, argv: list[str], *, environment: object, on_line: Any) -> Finished:
        self.told = argv[-1]
        finished = self._verify if "verify-backup" in argv[-1] else self._check
        for line in finished.output.splitlines():
            on_line(line)
        return finished

    def progress(self, text: str) -> None:
        """Nobody looks."""


class Repository:
    """With one backup."""

    def __init__(self, state: BackupState) -> None:
        self._state = state

    def backups(self) -> tuple[Backup, ...]:
        return (Backup(id="one", state=self._state),)


def check(state: BackupState = BackupState.OK, check: Finished = DONE, verify: Finished = DONE) -> Verified | Failed:
    look = cast("Any", lambda: Repository(state))
    return Work(SETTINGS, cast("Any", Job(check, verify)), {}, look).verify(Backup(id="one"))


def test_what_barman_has_found_is_its_verdict() -> None:
    assert isinstance(check(), Verified)
    assert isinstance(check(BackupState.FAILED), Failed)  # WAL that it needs is missing
    complaint = "ERROR: verify backup failure on directory '/barman/main/base/one/data'\nERROR: checksum mismatch for file \"base/1/2\""
    assert isinstance(check(verify=Finished(exit_code=1, output=complaint)), Failed)


@pytest.mark.parametrize("ended", [Finished(exit_code=255, output="ssh: connect: refused"), Finished(exit_code=-9)], ids=["away", "killed"])
def test_a_program_without_a_verdict_says_nothing_of_the_backup(ended: Finished) -> None:
    with pytest.raises(PluginUnavailableError):
        check(check=ended)
    with pytest.raises(PluginUnavailableError):
        check(verify=ended)
    with pytest.raises(PluginUnavailableError):
        check(verify=Finished(exit_code=1, output="ERROR: pg_verifybackup not found"))
    with pytest.raises(PluginUnavailableError):
        check(BackupState.RUNNING)  # WAL of it is on its way


@pytest.mark.parametrize("kind", BackupKind)
def test_a_full_backup_shares_no_file_with_one_before_that_may_be_bad(kind: BackupKind) -> None:
    job = Job()
    Work(SETTINGS, cast("Any", job), {}, cast("Any", Repository)).make(BackupSite(context=CONTEXT), kind)
    assert "barman backup --wait" in job.told
    assert ("--reuse-backup off" in job.told) == (kind is BackupKind.FULL)
