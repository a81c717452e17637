"""The field's layout of annotations, and that a text comes back as it was whatever it holds."""

import json
import pickle
from datetime import UTC, datetime

import pytest

from hacore.model.clock import BootClock
from hacore_dcs_kubernetes.lock import LockRecord, OwnClock, from_annotations, from_lease
from hacore_dcs_kubernetes.records import HOMES, OTHER, TEXT, all_changes, changes_for, home_of, records_of
from hacore_dcs_kubernetes.settings import KubernetesSettings

TEXTS = [
    "",
    "1",
    "{}",
    "[]",
    "null",
    '{"leader":"a"}',
    '{"leader": "a"}',
    '{"optime":5}',
    '{"optime":5,"slots":{"a":1},"x":2}',
    "a\0ü\n",
    '"text"',
]


def present(changes: dict[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in changes.items() if value is not None}


@pytest.mark.parametrize(
    "name", ["hacore", "status", "failsafe", "config", "initialize", "history", "failover", "sync", "somebody's/ü~", "counter"]
)
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back_as_it_was(name: str, text: str) -> None:
    assert records_of(home_of(name), present(changes_for(name, text))) == {name: text}


@pytest.mark.parametrize(
    ("name", "text", "annotations"),
    [
        (
            "status",
            '{"optime":67109000,"slots":{"a":5},"retain_slots":["b"]}',
            {"optime": "67109000", "slots": '{"a":5}', "retain_slots": '["b"]'},
        ),
        ("status", '{"optime":1}', {"optime": "1"}),
        ("failover", '{"leader":"a","member":"b"}', {"leader": "a", "member": "b"}),
        (
            "failover",
            '{"member":"b","scheduled_at":"2030-01-01T00:00:00+00:00"}',
            {"member": "b", "scheduled_at": "2030-01-01T00:00:00+00:00"},
        ),
        ("sync", '{"leader":"a","quorum":0,"sync_standby":"b,c"}', {"leader": "a", "quorum": "0", "sync_standby": "b,c"}),
        ("sync", '{"leader":"a","quorum":0,"sync_standby":null}', {"leader": "a", "quorum": "0"}),
        ("config", '{"ttl": 30}', {"config": '{"ttl": 30}'}),
        ("initialize", "", {"initialize": ""}),
        ("history", "[]", {"history": "[]"}),
        ("failsafe", '{"a":"http://a"}', {"failsafe": '{"a":"http://a"}'}),
    ],
)
def test_records_are_written_as_the_field_writes_them(name: str, text: str, annotations: dict[str, str]) -> None:
    assert present(changes_for(name, text)) == annotations


def test_what_another_product_writes_over_a_text_of_ours_counts() -> None:
    ours = present(changes_for("failover", '{"member": "a"}'))
    assert TEXT in ours
    theirs = {**ours, "member": "b", "leader": "c"}
    assert records_of("failover", theirs) == {"failover": '{"leader":"c","member":"b"}'}
    assert records_of("failover", {TEXT: ours[TEXT]}) == {}  # it has blanked the wish


def test_a_number_that_is_none_is_shown_as_it_stands() -> None:
    assert records_of("leader", {"optime": "x"}) == {"status": '{"optime":"x"}'}


def test_a_deletion_removes_every_part() -> None:
    assert changes_for("failover", None) == {"leader": None, "member": None, "scheduled_at": None, TEXT: None}
    assert all_changes([("config", None), ("history", "[]")]) == {"config": None, "history": "[]"}


def test_each_record_has_one_home() -> None:
    assert {home_of(name) for name in ("hacore", "config", "failover", "sync", "whatever")} == set(HOMES)
    assert records_of(OTHER, {"hacore-write": "1", "r._zz": "odd"}) == {"r._zz": "odd"}


def test_a_lock_reads_as_it_was_written_in_either_kind_of_object() -> None:
    wall = datetime(2030, 1, 2, 3, 4, 5, 0, UTC)
    taken = LockRecord(holder=None, transitions=4).taken_by("a", wall, 29.5)
    annotations = taken.as_annotations()
    assert annotations == {
        "leader": "a",
        "ttl": "30",
        "renewTime": "2030-01-02T03:04:05.000000+00:00",
        "acquireTime": "2030-01-02T03:04:05.000000+00:00",
        "transitions": "5",
    }
    assert from_annotations(present(annotations)).lock == taken.lock
    assert from_lease(json.loads(json.dumps(taken.as_lease()))).holder == "a"
    assert from_annotations(present(taken.given_back(wall).as_annotations())).lock is None


def test_a_lock_that_is_not_understood_has_the_usual_time() -> None:
    assert from_annotations({"leader": "a", "ttl": "soon", "transitions": "many"}) == LockRecord(holder="a")


def test_a_lock_is_timed_from_when_it_was_first_seen_or_sent() -> None:
    own_clock, record = OwnClock(BootClock()), LockRecord(holder="a", ttl_s=1000.0, acquired="1")
    now = BootClock().now()
    assert own_clock.read(record, at=now - 999.5) == record.lock
    assert own_clock.watched(record) == pytest.approx(now + 0.5, abs=0.01)  # seen before by the other way
    assert own_clock.read(LockRecord(holder="a", ttl_s=1000.0, acquired="1", renewed="2"), at=now - 1001) is None
    own_clock.forget()
    assert own_clock.read(record) == record.lock


def test_settings_can_be_handed_from_process_to_process() -> None:
    settings = KubernetesSettings(labels=(("application", "hacore"),))
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301 - our own
