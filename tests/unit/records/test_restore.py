import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hacore.backup.target import parse_target
from hacore.model.cluster import Restore, RestoreState
from hacore.records.json_text import BrokenRecordError
from hacore.records.own import own_json, read_own
from tests.unit.decide.worlds import own

RESTORE = Restore(
    id="r1",
    member="a",
    state=RestoreState.RESTORING,
    backup="base_1",
    target=parse_target("2026-05-04T03:02:01+00:00", inclusive=False, timeline="3"),
    along=3,
    keep=False,
    asked_at=datetime(2026, 5, 4, 3, tzinfo=UTC),
    timeline=5,
    attempt="r1 7.5",
    error="x",
)


@pytest.mark.parametrize(
    "to", ["latest", "immediate", "lsn:0/3000060", "xid:7", "name:before the release", "2026-05-04T03:02:01.250000+00:00"]
)
def test_what_is_written_is_read(to: str) -> None:
    record = own(restore=replace(RESTORE, target=parse_target(to)))
    assert read_own(own_json(record)) == record


def test_every_field_is_read() -> None:
    assert read_own(own_json(own(restore=RESTORE))).restore == RESTORE
    assert read_own(own_json(own())).restore is None


@pytest.mark.parametrize(
    "change",
    [
        {"state": "dancing"},
        {"to": "2026-05-04T03:02:01"},
        {"to": 7},
        {"along": 0},
        {"along": None},
        {"asked_at": "soon"},
        {"asked_at": "2026-05-04T03:02:01"},
        {"member": None},
        {"keep": "yes"},
    ],
)
def test_one_that_cannot_be_understood_breaks_the_whole_record_for_nobody_may_lead_by_it(change: dict[str, Any]) -> None:
    found = json.loads(own_json(own(restore=RESTORE)))
    found["restore"] |= change
    with pytest.raises(BrokenRecordError):
        read_own(json.dumps(found))
