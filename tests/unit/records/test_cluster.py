"""What stands in the store, read without trust."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hacore.interfaces import Record, Snapshot
from hacore.model.cluster import FailoverRequest, HistoryLine, HoldMark, Member, OwnRecord, Status
from hacore.model.lease import Lock
from hacore.model.lsn import Lsn
from hacore.model.policy import Tags
from hacore.records.cluster import read_cluster
from hacore.records.failover import failover_json
from hacore.records.history import history_json
from hacore.records.member import member_json, read_member
from hacore.records.own import own_json
from hacore.records.status import status_json

SAMPLE = {
    "leader": "node1",
    "initialize": "7298374655123456789",
    "config": '{"ttl":30,"loop_wait":10,"retry_timeout":10,"postgresql":{"use_pg_rewind":true}}',
    "status": '{"optime":67109928,"slots":{"node1":67109928,"node2":67109928},"retain_slots":["node1","node2"]}',
    "sync": '{"leader":"node1","quorum":1,"sync_standby":"node2,node3"}',
    "history": '[[1,25623960,"no recovery target specified","2025-01-02T03:04:05.678901+00:00","node2"]]',
    "failover": '{"leader":"node1","member":"node2","scheduled_at":"2025-01-02T03:04:05+00:00"}',
}
NODE2 = (
    '{"conn_url":"postgres://10.0.0.2:5432/postgres","api_url":"http://10.0.0.2:8008/patroni","state":"running","role":"replica",'
    '"version":"4.0.7","xlog_location":67109928,"replication_state":"streaming","timeline":2}'
)
OWN = OwnRecord(
    store_id="5f0d", token=7, instance="42", holder="node1", heartbeat=901, ttl_s=30.0, clean="41", claims=((2, 5), (3, 7)),
    timeline=3, times=(30.0, 10.0, 10.0), known_members=("node1", "node2"),
)  # fmt: skip


def snapshot(records: dict[str, str] | None = None, members: dict[str, str] | None = None, lock: Lock | None = None) -> Snapshot:
    return Snapshot(
        sent_at=5.0,
        revision=77,
        lock=lock,
        records={name: Record(value=value, version=9, received_at=1.0) for name, value in (records or {}).items()},
        members={name: Record(value=value, version=9, received_at=1.0) for name, value in (members or {}).items()},
    )


def test_the_field_s_own_sample_is_understood_completely() -> None:
    view = read_cluster(snapshot(SAMPLE, {"node2": NODE2}, Lock(holder="node1", instance="5")))
    assert view.broken == frozenset()
    assert view.initialize == "7298374655123456789"
    assert view.config == SAMPLE["config"]
    assert (view.config_version, view.initialize_version) == (9, 9)
    assert view.status == Status(
        optime=Lsn(67109928), slots=(("node1", Lsn(67109928)), ("node2", Lsn(67109928))), retain_slots=("node1", "node2")
    )
    assert view.sync_leader == "node1"
    assert view.history == (
        HistoryLine(
            timeline=1,
            lsn=Lsn(25623960),
            reason="no recovery target specified",
            timestamp="2025-01-02T03:04:05.678901+00:00",
            new_leader="node2",
        ),
    )
    assert view.failover == FailoverRequest(
        leader="node1", candidate="node2", scheduled_at=datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC), version=9
    )
    assert view.timeline == 2
    member = view.member("node2")
    assert member is not None
    assert (member.lsn, member.timeline, member.version, member.is_hacore) == (Lsn(67109928), 2, "4.0.7", False)


def test_an_empty_store_is_an_empty_view_and_not_an_error() -> None:
    view = read_cluster(snapshot())
    assert (view.initialize, view.config, view.history, view.own, view.failover) == (None, None, None, None, None)
    assert view.broken == frozenset()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("initialize", "12"),
        ("initialize", "٣٣٣٣٣٣٣٣٣٣٣"),
        ("initialize", "{}"),
        ("config", ""),
        ("config", "[]"),
        ("config", "{" * 100_000),
        ("config", '{"a":NaN}'),
        ("config", '{"a":"\\ud800"}'),
        ("config", '{"a":' + "9" * 5000 + "}"),
        ("config", json.dumps({"a": "x" * (1 << 20)})),
        ("status", '{"optime":"67109928"}'),
        ("status", '{"optime":-1}'),
        ("status", '{"optime":true}'),
        ("status", '{"optime":1,"slots":{"a":1.5}}'),
        ("status", '{"optime":18446744073709551616}'),
        ("optime/leader", "0x10"),
        ("sync", "node1"),
        ("sync", '{"leader":["node1"]}'),
        ("history", "{}"),
        ("history", "[[1,2]]"),
        ("history", '[["1",2,"x"]]'),
        ("failover", '{"leader":5}'),
        ("failover", '{"leader":"a","member":"b","scheduled_at":"tomorrow"}'),
        ("failover", '{"leader":"a","member":"b","scheduled_at":"2025-01-02T03:04:05"}'),
        ("failover", "[]"),
        ("failover", "node1"),
        ("hacore", "{}"),
        ("hacore", '{"store_id":"a","token":-1,"holder":"a","heartbeat":1,"ttl":30}'),
        ("hacore", '{"store_id":"a","token":1,"holder":"a","heartbeat":1,"ttl":0}'),
        ("hacore", '{"store_id":"a","token":1,"holder":"a","heartbeat":1,"ttl":30,"claims":[[1,2,3]]}'),
    ],
)  # fmt: skip
def test_a_record_that_cannot_be_understood_is_named_and_counts_as_absent(name: str, value: str) -> None:
    view = read_cluster(snapshot({name: value}))
    assert view.broken == {name}
    assert (view.initialize, view.config, view.history, view.own, view.failover) == (None, None, None, None, None)
    assert view.status == Status()


@pytest.mark.parametrize(
    "value",
    [
        "",
        "node2",
        "null",
        '{"state":5}',
        '{"tags":[]}',
        '{"xlog_location":"5"}',
        '{"timeline":4294967296}',
        '{"pending_restart":1}',
        '{"pending_restart_reason":{"work_mem":"4MB"}}',
        '{"hacore":"0.1.0"}',
        '{"hacore":{"version":"0.1.0","times":[1,2]}}',
        "postgres://[10.0.0.2/postgres",
    ],
)
def test_a_broken_member_record_hides_that_member_alone(value: str) -> None:
    view = read_cluster(snapshot(members={"node1": value, "node2": NODE2}))
    assert [member.name for member in view.members] == ["node2"]
    assert view.broken == {"members/node1"}


@pytest.mark.parametrize(
    ("text", "leader", "candidate"),
    [
        ("node1:node2", "node1", "node2"),
        (":node2", None, "node2"),
        ("node1:", "node1", None),
        ('{"member":"node2"}', None, "node2"),
        ('{"leader":"node1","member":null}', "node1", None),
    ],
)
def test_a_failover_request_of_any_age_is_read(text: str, leader: str | None, candidate: str | None) -> None:
    view = read_cluster(snapshot({"failover": text}))
    assert view.failover == FailoverRequest(leader=leader, candidate=candidate, version=9)


@pytest.mark.parametrize("text", ["{}", "null", "", " ", '{"leader":null}', ":"])
def test_a_blanked_failover_record_asks_for_nothing(text: str) -> None:
    view = read_cluster(snapshot({"failover": text}))
    assert (view.failover, view.broken) == (None, frozenset())


def test_history_lines_of_old_releases_are_shorter() -> None:
    view = read_cluster(snapshot({"history": '[[1,5,"a"],[2,6,"b","2025-01-02T03:04:05+00:00"],[3,7,"c",null,"n"]]'}))
    assert view.history is not None
    assert [(line.timeline, line.timestamp, line.new_leader) for line in view.history] == [
        (1, None, None),
        (2, "2025-01-02T03:04:05+00:00", None),
        (3, None, "n"),
    ]


def test_the_old_position_is_read_only_where_the_new_one_is_absent() -> None:
    assert read_cluster(snapshot({"optime/leader": "77"})).status == Status(optime=Lsn(77))
    assert read_cluster(snapshot({"optime/leader": "77", "status": '{"optime":99}'})).status == Status(optime=Lsn(99))


def test_a_running_bootstrap_is_an_empty_initialize_record() -> None:
    assert read_cluster(snapshot({"initialize": ""})).initialize == ""


@pytest.mark.parametrize("text", ["", "{}", '{"leader":null}', "null"])
def test_a_sync_record_that_is_switched_off_has_no_leader(text: str) -> None:
    view = read_cluster(snapshot({"sync": text}))
    assert (view.sync_leader, view.broken) == (None, frozenset())


def test_master_is_read_as_primary() -> None:
    assert read_member("a", '{"role":"master"}').role == "primary"


def test_a_member_without_a_connection_url_is_still_counted() -> None:
    assert read_member("a", "{}") == Member(name="a")


def test_the_oldest_member_record_is_a_bare_url() -> None:
    member = read_member("a", "postgres://10.0.0.2:5432/postgres?application_name=http://10.0.0.2:8008/patroni")
    assert member == Member(name="a", conn_url="postgres://10.0.0.2:5432/postgres", api_url="http://10.0.0.2:8008/patroni")


@pytest.mark.parametrize(
    ("tags", "may_lead", "priority"),
    [
        ('{"nofailover":true}', False, 0),
        ('{"nofailover":"on"}', False, 0),
        ('{"failover_priority":0}', False, 0),
        ('{"failover_priority":"3"}', True, 3),
        ('{"nofailover":false,"failover_priority":0}', True, 1),
        ('{"nofailover":true,"failover_priority":5}', False, 0),
        ('{"nofailover":[],"failover_priority":{}}', True, 1),
        ("{}", True, 1),
    ],
)
def test_nofailover_and_failover_priority_say_one_thing(tags: str, may_lead: bool, priority: int) -> None:
    read = read_member("a", f'{{"tags":{tags}}}').tags
    assert (read.may_lead, read.failover_priority) == (may_lead, priority)


def test_a_member_record_written_by_us_is_read_back_as_it_was() -> None:
    member = Member(
        name="node1",
        conn_url="postgres://10.0.0.1:5432/postgres",
        api_url="http://10.0.0.1:8008/patroni",
        proxy_url="postgres://10.0.0.1:6432/postgres",
        state="running",
        role="primary",
        version="4.1.5",
        hacore_version="0.1.0",
        times=(30.0, 10.0, 10.0),
        tags=Tags(clonefrom=True, published=(("clonefrom", True), ("rack", "b"))),
        lsn=Lsn(67109928),
        timeline=2,
        pending_restart=True,
        pending_restart_reason=(("work_mem", "4MB", "8MB"),),
        scheduled_restart='{"schedule":"2025-01-02T03:04:05+00:00","restart_pending":true}',
        pause=True,
        checkpoint_after_promote=False,
        unsupported=("synchronous_mode",),
        archive_fault="push of x ended with 1",
        is_fence_partial=True,
    )
    assert read_member("node1", member_json(member)) == member


def test_a_member_record_has_the_field_s_bytes_first_and_ours_under_a_name_of_its_own() -> None:
    member = Member(
        name="node2", conn_url="postgres://10.0.0.2:5432/postgres", api_url="http://10.0.0.2:8008/patroni", state="running",
        lsn=Lsn(67109928), replication_state="streaming", timeline=2, version="4.0.7",
    )  # fmt: skip
    assert member_json(member) == NODE2[:-1] + ',"hacore":{"version":"0.1.0"}}'


def test_the_version_that_we_publish_is_the_level_of_the_interface() -> None:
    assert json.loads(member_json(Member(name="a")))["version"] == "4.1.5"


def test_the_own_record_is_read_back_as_it_was_written() -> None:
    view = read_cluster(snapshot({"hacore": own_json(OWN)}))
    assert (view.own, view.own_version) == (OWN, 9)


def test_the_mark_of_a_switchover_is_read_back_and_taken_away_whole() -> None:
    held = replace(OWN, hold=HoldMark(switchover_id="7-3", token=7, limit_s=35.0))
    text = own_json(held)
    assert read_cluster(snapshot({"hacore": text})).own == held
    assert json.loads(own_json(OWN, text)) == json.loads(own_json(OWN))


@pytest.mark.parametrize(
    "mark",
    ["yes", [], {}, {"id": "", "token": 1, "limit": 5}, {"id": "x", "token": "1", "limit": 5}, {"id": "x", "token": 1, "limit": -1}, 5],
)
def test_a_mark_that_cannot_be_understood_holds_nothing_back_and_breaks_no_record(mark: object) -> None:
    text = json.dumps({**json.loads(own_json(OWN)), "hold": mark})
    assert read_cluster(snapshot({"hacore": text})).own == OWN


def test_unknown_fields_of_rewritten_records_are_kept() -> None:
    previous = '{"optime":1,"later":{"a":[1]},"slots":{"x":1}}'
    assert status_json(Status(optime=Lsn(2)), previous) == '{"optime":2,"later":{"a":[1]}}'
    assert json.loads(own_json(OWN, '{"clean":"old","later":1}')) == {**json.loads(own_json(OWN)), "later": 1}


def test_a_broken_record_is_rewritten_without_anything_of_it() -> None:
    assert status_json(Status(optime=Lsn(2)), "[") == '{"optime":2}'


def test_history_lines_that_stand_keep_their_bytes_when_one_is_added() -> None:
    standing = '[[1,5,"a"],[2,6,"b","2025-01-02T03:04:05+00:00","n","later"]]'
    lines = (
        HistoryLine(timeline=1, lsn=Lsn(5), reason="another text"),
        HistoryLine(timeline=2, lsn=Lsn(6)),
        HistoryLine(timeline=3, lsn=Lsn(7), reason="c", timestamp="t", new_leader="m"),
    )
    assert history_json(lines, standing) == standing[:-1] + ',[3,7,"c","t","m"]]'


def test_a_failover_record_is_written_as_the_field_does() -> None:
    assert failover_json() == "{}"
    assert failover_json("node1", "node2", datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)) == SAMPLE["failover"]
