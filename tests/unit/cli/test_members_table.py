"""The rows of ``list`` and ``topology``."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hacore.cli.members_table import members_sheet, topology_sheet
from hacore.cli.sheet import Row, objects
from hacore.model.cluster import FailoverRequest, RestoreState
from tests.unit.cli.views import MB, OPTIME, leader, member, tags, view
from tests.unit.decide.worlds import own
from tests.unit.records.test_restore import RESTORE


def row(name: str, *members: object, **fields: object) -> Row:
    sheet = members_sheet(view(*members, **fields), "demo")  # type: ignore[arg-type]
    return next(one for one in sheet.rows if one["Member"] == name)


def test_members_are_shown_by_name_with_role_state_and_timeline() -> None:
    sheet = members_sheet(view(member("c"), member("b"), leader("a", timeline=2)), "demo")
    assert [(one["Member"], one["Role"], one["State"], one["TL"]) for one in sheet.rows] == [
        ("a", "Leader", "running", 2),
        ("b", "Replica", "streaming", 1),
        ("c", "Replica", "streaming", 1),
    ]


def test_lag_is_shown_in_megabytes_and_only_for_those_that_follow() -> None:
    behind = member("b", receive_lsn=type(OPTIME)(OPTIME - 3 * MB), replay_lsn=type(OPTIME)(OPTIME - 5 * MB))
    found = row("b", leader("a"), behind)
    assert (found["Receive Lag"], found["Replay Lag"]) == (3, 5)
    assert row("a")["Receive Lag"] is None


def test_a_position_that_nobody_published_is_unknown() -> None:
    found = row("b", leader("a"), member("b", lsn=None, receive_lsn=None, replay_lsn=None))
    assert (found["Receive LSN"], found["Receive Lag"], found["Replay Lag"]) == ("unknown", "unknown", "unknown")


def test_the_usual_port_is_not_shown_where_hosts_differ() -> None:
    assert row("b")["Host"] == "b.example"


@pytest.mark.parametrize("url", ["postgres://b.example:5433/postgres", "postgres://a.example:5432/postgres"])
def test_ports_are_shown_where_one_is_unusual_or_hosts_repeat(url: str) -> None:
    assert row("a", leader("a"), member("b", conn_url=url))["Host"] == "a.example:5432"


def test_an_ipv6_host_with_a_port_stands_in_brackets() -> None:
    assert row("b", leader("a"), member("b", conn_url="postgres://[::1]:5433/postgres"))["Host"] == "[::1]:5433"


def test_a_member_without_an_address_is_shown_all_the_same() -> None:
    assert row("b", leader("a"), member("b", conn_url=None))["Host"] is None


def test_a_restart_that_is_needed_or_scheduled_is_shown_with_its_reason() -> None:
    waiting = member(
        "b",
        pending_restart=True,
        pending_restart_reason=(("max_connections", "100", "200"), ("wal_level", "replica", "logical")),
        scheduled_restart='{"schedule":"2030-01-01T00:00:00+00:00","postgres_version":"16.2"}',
    )
    found = row("b", leader("a"), waiting)
    assert found["Pending restart"] == "*"
    assert found["Pending restart reason"] == "max_connections: 100->200\nwal_level: replica->logical"
    assert found["Scheduled restart"] == "2030-01-01T00:00:00+00:00 if version < 16.2"


def test_the_title_tells_the_cluster_and_how_far_its_creation_is() -> None:
    assert members_sheet(view(), "demo").title == "Cluster: demo (7298374655123456789)"
    assert members_sheet(view(initialize=""), "demo").title == "Cluster: demo (initializing)"
    assert members_sheet(view(initialize=None), "demo").title == "Cluster: demo (uninitialized)"


def test_a_line_below_tells_whose_fence_is_partial() -> None:
    (line,) = members_sheet(view(leader("a"), member("c", is_fence_partial=True), member("b", is_fence_partial=True)), "demo").footer
    assert line.startswith(" fence: partial on b, c: ")
    assert members_sheet(view(), "demo").footer == ()


def test_lines_below_tell_of_pause_schedule_ignored_settings_and_broken_records() -> None:
    shown = view(
        leader("a", unsupported=("failsafe_mode is ignored",)),
        member("b", unsupported=("failsafe_mode is ignored",), archive_fault="push of x ended with 1:\n no bucket"),
        config='{"pause":true}',
        failover=FailoverRequest(leader="a", candidate="b", scheduled_at=datetime(2030, 1, 1, tzinfo=UTC), version=1),
        broken=frozenset({"members/c"}),
    )
    assert members_sheet(shown, "demo").footer == (
        " Maintenance mode: on",
        " Switchover scheduled at: 2030-01-01T00:00:00+00:00",
        "                   from: a",
        "                     to: b",
        " Note: failsafe_mode is ignored (by a, b)",
        " Archive of b: push of x ended with 1: no bucket",
        " Records that cannot be read: members/c",
    )


def test_a_restore_that_goes_on_is_shown_and_one_that_has_ended_is_not() -> None:
    shown = members_sheet(view(own=own(restore=RESTORE)), "demo").footer
    assert any("restore --cancel" in line and RESTORE.member in line for line in shown)
    ended = replace(RESTORE, state=RestoreState.DONE)
    assert not any("estore" in line for line in members_sheet(view(own=own(restore=ended)), "demo").footer)


def test_programs_get_the_cluster_and_no_empty_cells() -> None:
    found = objects([members_sheet(view(), "demo")])
    assert found[0] == {"Cluster": "demo", "Member": "a", "Host": "a.example", "Role": "Leader", "State": "running", "TL": 1}
    assert set(found[1]) == {
        "Cluster", "Member", "Host", "Role", "State", "TL", "Receive LSN", "Receive Lag", "Replay LSN", "Replay Lag",
    }  # fmt: skip


def names(*members: object, **fields: object) -> list[str]:
    return [str(one["Member"]) for one in topology_sheet(view(*members, **fields), "demo").rows]  # type: ignore[arg-type]


def test_topology_shows_each_member_below_the_one_it_streams_from() -> None:
    cascade = member("c", tags=tags(replicatefrom="b"))
    assert names(leader("a"), member("b"), cascade, member("d", tags=tags(replicatefrom="c"))) == ["a", "+ b", "  + c", "    + d"]


def test_topology_falls_back_to_the_leader_where_the_named_member_is_not_there() -> None:
    assert names(leader("a"), member("b", tags=tags(replicatefrom="nobody")), member("c", tags=tags(replicatefrom="c"))) == [
        "a",
        "+ b",
        "+ c",
    ]


def test_topology_loses_nobody_where_members_name_each_other() -> None:
    round_trip = names(leader("a"), member("b", tags=tags(replicatefrom="c")), member("c", tags=tags(replicatefrom="b")))
    assert sorted(one.strip(" +") for one in round_trip) == ["a", "b", "c"]


def test_topology_without_a_leader_shows_everybody() -> None:
    assert names(member("b"), member("a"), holder=None) == ["a", "b"]
