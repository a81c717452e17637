import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hacore.model.backups import BackupRecord, BackupResult, BackupTask, BackupWork, Doubt
from hacore.records.backups import backups_json, read_backups
from hacore.records.json_text import BrokenRecordError

AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
TASK = BackupTask(
    id="t",
    work=BackupWork.VERIFY,
    member="a",
    token=7,
    asked_at=AT,
    reason="r",
    kind="full",
    backup="b",
    restores=True,
    remove=("c",),
    taken=True,
    beat=3,
    progress="10 %",
    tried=("d",),
    is_pinned=True,
)
RESULT = BackupResult(
    id="t",
    work=BackupWork.BACKUP,
    member="a",
    began_at=AT,
    ended_at=AT,
    error="e",
    detail="d",
    backup="b",
    failures=2,
    asked_at=AT,
    is_found_bad=True,
    may_lack_wal=True,
)
DOUBTS = (Doubt(backup="c"), Doubt(backup="d", lacks=("000000010000000000000003",)), Doubt(backup="e", is_unknown=True))
FULL = BackupRecord(task=TASK, results=(RESULT,), verified=(("b", AT),), doubts=DOUBTS, newest_good=AT, window_start=AT, listed=3)
MADE = BackupRecord(task=replace(TASK, work=BackupWork.BACKUP, made=replace(RESULT, error=None, failures=0)))


@pytest.mark.parametrize("record", [BackupRecord(), FULL, BackupRecord(listed=0), MADE])
def test_what_is_written_is_read(record: BackupRecord) -> None:
    assert read_backups(backups_json(record)) == record


def test_fields_of_a_later_version_stay() -> None:
    assert json.loads(backups_json(FULL, '{"later": 1, "listed": 9}'))["later"] == 1


def test_a_result_of_an_earlier_version_is_read() -> None:
    older = json.loads(backups_json(BackupRecord(results=(RESULT,))))
    del older["results"][0]["asked_at"]
    assert read_backups(json.dumps(older)).results == (replace(RESULT, asked_at=None),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"task": {}}',
        '{"task": {"id": "t", "work": "dance", "member": "a", "token": 1, "asked_at": "2026-05-04T03:02:01+00:00"}}',
        '{"task": {"id": "t", "work": "backup", "member": "a", "token": 1, "asked_at": "2026-05-04T03:02:01"}}',
        '{"task": {"id": "t", "work": "backup", "member": "a", "token": true, "asked_at": "2026-05-04T03:02:01+00:00"}}',
        '{"results": [{}]}',
        '{"verified": [["b"]]}',
        '{"verified": [["b", ""]]}',
        '{"doubts": [{"lacks": ["000000010000000000000003"]}]}',
        '{"newest_good": "soon"}',
    ],
)
def test_a_record_that_cannot_be_understood_is_broken(text: str) -> None:
    with pytest.raises(BrokenRecordError):
        read_backups(text)


def test_a_tool_that_says_very_much_does_not_fill_the_store() -> None:
    long = BackupResult(id="t", work=BackupWork.BACKUP, member="a", began_at=AT, ended_at=AT, error="x" * 100_000)
    assert len(backups_json(BackupRecord(results=(long,)))) < 2000
