"""What the program prints, as values."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import TablespacePlaces
from hacore.interfaces import Backup, BackupKind, BackupState
from hacore.model.lsn import Lsn
from hacore_replica_walg import wire
from plugins.replica_walg.tests.samples import first_page

FULL = {
    "backup_name": "base_000000010000000000000002",
    "time": "2026-08-01T12:00:05.5Z",
    "wal_file_name": "000000010000000000000002",
    "storage_name": "default",
    "start_time": "2026-08-01T12:00:00.123456789Z",
    "finish_time": "2026-08-01T12:00:05.5Z",
    "date_fmt": "%Y-%m-%dT%H:%M:%S.%fZ",
    "hostname": "one",
    "data_dir": "/data",
    "pg_version": 150018,
    "start_lsn": 33554472,
    "finish_lsn": 33554688,
    "is_permanent": True,
    "system_identifier": 7712174182608396117,
    "uncompressed_size": 22992517,
    "compressed_size": 3531837,
    "user_data": {"scope": "demo"},
}
DELTA = {
    **FULL,
    "backup_name": "base_000000010000000000000004_D_000000010000000000000002",
    "wal_file_name": "000000010000000000000004",
    "finish_time": "2026-08-01T13:00:00Z",
    "is_permanent": False,
    "user_data": None,
}
SECOND_DELTA = {
    **DELTA,
    "backup_name": "base_000000020000000000000006_D_000000010000000000000004",
    "wal_file_name": "000000020000000000000006",
    "finish_time": "2026-08-01T14:00:00Z",
}


def read(*rows: dict[str, Any]) -> tuple[Backup, ...]:
    return wire.read_backups(json.dumps(rows), unasked)


def unasked(backup_id: str) -> str:
    raise AssertionError(f"the sentinel of {backup_id} was read although names tell")


def test_a_backup_has_everything_that_a_restore_is_planned_by() -> None:
    assert read(FULL) == (
        Backup(
            id="base_000000010000000000000002",
            kind=BackupKind.FULL,
            state=BackupState.OK,
            started_at=datetime(2026, 8, 1, 12, 0, 0, 123456, tzinfo=UTC),
            stopped_at=datetime(2026, 8, 1, 12, 0, 5, 500000, tzinfo=UTC),
            start_lsn=Lsn(33554472),
            stop_lsn=Lsn(33554688),
            timeline=1,
            system_id="7712174182608396117",
            major_version=15,
            size_bytes=22992517,
            stored_bytes=3531837,
            parent=None,
            is_locked=True,
            host="one",
            labels={"scope": "demo"},
        ),
    )


def test_backups_come_in_the_order_of_time_and_increments_know_their_parents() -> None:
    found = read(SECOND_DELTA, DELTA, FULL)
    assert [one.parent for one in found] == [None, FULL["backup_name"], DELTA["backup_name"]]
    assert [one.kind for one in found] == [BackupKind.FULL, BackupKind.INCREMENTAL, BackupKind.INCREMENTAL]
    assert found[2].timeline == 2


def test_where_several_begin_in_one_segment_the_sentinel_tells_of_which_an_increment_was_made() -> None:
    full = {**FULL, "backup_name": "base_000000010000000000000004", "wal_file_name": "000000010000000000000004"}
    third = {**DELTA, "backup_name": "base_000000010000000000000006_D_000000010000000000000004"}
    sentinel = json.dumps({"DeltaFrom": full["backup_name"]})
    found = wire.read_backups(json.dumps([FULL, DELTA, full, third]), lambda name: sentinel if name == third["backup_name"] else "")
    assert {one.id: one.parent for one in found}[str(third["backup_name"])] == full["backup_name"]


def test_an_increment_that_begins_where_what_it_was_made_of_does_is_not_its_own_parent() -> None:
    again = {**DELTA, "backup_name": "base_000000010000000000000004_D_000000010000000000000004", "finish_time": "2026-08-01T14:00:00Z"}
    assert [one.parent for one in read(FULL, DELTA, again)] == [None, FULL["backup_name"], DELTA["backup_name"]]


@pytest.mark.parametrize("sentinel", ["", "{}", "[]", "null"])
def test_a_sentinel_that_does_not_tell_is_an_error(sentinel: str) -> None:
    with pytest.raises(PluginUnavailableError):
        wire.origin(sentinel)


def test_the_parent_of_an_increment_is_named_even_where_it_is_gone() -> None:
    assert [one.parent for one in read(DELTA)] == [FULL["backup_name"]]


def test_an_older_version_tells_less() -> None:
    old = {name: FULL[name] for name in ("backup_name", "time", "wal_file_name")}
    (found,) = read(old)
    assert (found.system_id, found.start_lsn, found.size_bytes, found.timeline) == (None, None, None, 1)
    assert found.stopped_at == datetime(2026, 8, 1, 12, 0, 5, 500000, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "\n", "[]", "null"])
def test_nothing_printed_means_none(text: str) -> None:
    assert wire.read_backups(text, unasked) == ()


@pytest.mark.parametrize("text", ["{}", "no backups", "[1]", '[{"time": "x"}]', '[{"backup_name": "b", "wal_file_name": "zz"}]', "\x00"])
def test_what_is_not_understood_is_not_an_empty_list(text: str) -> None:
    with pytest.raises(PluginUnavailableError):
        wire.read_backups(text, unasked)


def test_the_status_has_the_end_of_the_newest_timeline_and_the_gaps_of_all() -> None:
    rows = [
        {"id": 2, "start_segment": "000000020000000000000005", "end_segment": "0000000200000000000000FF", "missing_segments": None},
        {
            "id": 1,
            "start_segment": "000000010000000000000001",
            "end_segment": "000000010000000000000009",
            "missing_segments": ["000000010000000000000004", "000000010000000000000003", "000000010000000000000007"],
        },
    ]
    found = wire.read_status(json.dumps(rows))
    assert found.last_segment == "0000000200000000000000FF"
    assert found.gaps == ("000000010000000000000003 to 000000010000000000000004", "000000010000000000000007")


def test_gaps_are_ranges_across_logs_and_not_more_than_people_read() -> None:
    assert wire.gaps(["0000000100000000000000FF", "000000010000000100000000"]) == ["0000000100000000000000FF to 000000010000000100000000"]
    many = wire.gaps([f"0000000100000000000000{number:02X}" for number in range(0, 100, 2)])
    assert len(many) == 21
    assert many[-1] == "and 30 more"


def test_a_verdict_is_found_among_lines_of_log() -> None:
    row = {"timeline_id": 1, "start_segment": "A", "end_segment": "B", "segments_count": 2, "status": "MISSING_LOST"}
    lines = ["INFO: it begins", json.dumps({"integrity": {"status": "FAILURE", "details": [row]}}), "INFO: it ends"]
    assert wire.read_integrity(lines) == (wire.Run(first="A", last="B", status="MISSING_LOST"),)


@pytest.mark.parametrize("lines", [[], ["OK"], ["{}"], ['{"integrity": {}}'], ['{"integrity": {"details": [1]}}']])
def test_without_a_verdict_nothing_is_verified(lines: list[str]) -> None:
    with pytest.raises(PluginUnavailableError):
        wire.read_integrity(lines)


def test_a_segment_says_whose_it_is() -> None:
    assert wire.system_id_of(first_page("7712174182608396117")) == "7712174182608396117"
    assert wire.system_id_of(b"") is None
    assert wire.system_id_of(bytes(8192)) is None


def test_tablespaces_are_moved_and_others_stay() -> None:
    spec = {
        "base_prefix": "/old",
        "tablespaces": ["1", "2"],
        "1": {"loc": "/a", "link": "pg_tblspc/1"},
        "2": {"loc": "/b", "link": "pg_tblspc/2"},
    }
    sentinel, moved = json.dumps({"Spec": spec}), TablespacePlaces(moved={"/a": "/c"})
    found = json.loads(wire.restore_spec(sentinel, moved, "/new") or "")
    assert (found["base_prefix"], found["1"]["loc"], found["2"]["loc"]) == ("/new", "/c", "/b")
    below = json.loads(wire.restore_spec(sentinel, TablespacePlaces(moved={"/a": "/c"}, below="/d"), "/new") or "")
    assert (below["1"]["loc"], below["2"]["loc"]) == ("/c", "/d/2")
    assert wire.restore_spec('{"Spec": null}', moved, "/new") is None
    assert wire.restore_spec('{"Spec": {"base_prefix": "/old", "tablespaces": []}}', moved, "/new") is None
    with pytest.raises(PluginUnavailableError):
        wire.restore_spec("{}", TablespacePlaces(), "/new")
