"""What the check of a backup takes for a verdict: a program that came to none says nothing of the backup."""

from typing import Any, cast

import pytest

from hacore.errors import PluginUnavailableError
from hacore.interfaces import Backup, Failed, Finished, Verified
from hacore.postgres.job import JobHandle
from hacore_replica_walg.tool import Place
from hacore_replica_walg.work import Work

BACKUP = Backup(id="base_000000010000000000000002")
ROW = '{{"start_segment": "000000010000000000000002", "end_segment": "000000010000000000000005", "status": "{}"}}'


class Tool:
    """In the place of ``wal-g``."""

    def __init__(self, exit_code: int, says: str) -> None:
        self._exit_code, self._says = exit_code, says

    def run(self, job: object, base: object, place: object, *words: str, on_line: Any) -> Finished:
        on_line(self._says)
        return Finished(exit_code=self._exit_code, output=self._says)


class Repository:
    """With one backup."""

    def backups(self) -> tuple[Backup, ...]:
        return (BACKUP,)


def check(exit_code: int, says: str) -> Verified | Failed:
    return Work(cast("Any", Tool(exit_code, says)), JobHandle(), {}, Place(), cast("Any", Repository)).verify(BACKUP)


def found(status: str) -> str:
    return f'{{"integrity": {{"details": [{ROW.format(status)}]}}}}'


@pytest.mark.parametrize(("status", "verdict"), [("FOUND", Verified), ("MISSING_LOST", Failed)])
def test_what_wal_g_has_found_is_its_verdict(status: str, verdict: type) -> None:
    assert isinstance(check(0, found(status)), verdict)


@pytest.mark.parametrize(
    ("exit_code", "says"), [(1, "ERROR: dial tcp: connection refused"), (-9, ""), (0, "no verdict"), (0, found("MISSING_UPLOADING"))]
)
def test_a_program_without_a_verdict_says_nothing_of_the_backup(exit_code: int, says: str) -> None:
    with pytest.raises(PluginUnavailableError):
        check(exit_code, says)
