from collections.abc import Mapping
from dataclasses import replace

import pytest

from hacore.api import health
from hacore.publish.picture import Picture
from tests.unit.api.samples import NOW, OPTIME, PRIMARY, STANDBY, check, seen

LEADER_PATHS = ("/", "/primary", "/master", "/read-write", "/leader")
REPLICA_PATHS = ("/replica", "/async", "/asynchronous")
SYNC_PATHS = ("/sync", "/synchronous")
QUORUM_PATHS = ("/quorum",)
READ_PATHS = ("/read-only",)
OTHERS = ("/standby-leader", "/standby_leader", "/read-only-sync", "/read-only-synchronous", "/read-only-quorum", "/health", "/nonsense")
ALL = (*LEADER_PATHS, *REPLICA_PATHS, *SYNC_PATHS, *QUORUM_PATHS, *READ_PATHS, *OTHERS)


def passing(
    picture: Picture | None, query: Mapping[str, str] | None = None, *, age_s: float = 1.0, lease_s: float | None = None
) -> set[str]:
    made = check(picture, query, age_s=age_s, lease_s=lease_s)
    return {path for path in ALL if health.passes(path, made)}


LEADS = {*LEADER_PATHS, "/read-only", "/read-only-sync", "/read-only-synchronous", "/read-only-quorum", "/health"}
FOLLOWS = {*REPLICA_PATHS, "/read-only", "/health"}
SYNC = {"/replica", *SYNC_PATHS, "/read-only", "/read-only-sync", "/read-only-synchronous", "/health"}
QUORUM = {"/replica", "/quorum", "/read-only", "/read-only-quorum", "/health"}
CLUSTER_OF_ANOTHER = replace(STANDBY, standby_cluster=True)


@pytest.mark.parametrize(
    ("picture", "lease_s", "expected"),
    [
        pytest.param(PRIMARY, 5.0, LEADS, id="leader"),
        pytest.param(PRIMARY, None, {"/health"}, id="primary without the lease"),
        pytest.param(STANDBY, None, FOLLOWS, id="standby"),
        pytest.param(STANDBY, 5.0, LEADS | FOLLOWS, id="leader that is still being promoted"),
        pytest.param(replace(STANDBY, sync_standby=True), None, SYNC, id="synchronous standby"),
        pytest.param(replace(STANDBY, quorum_standby=True), None, QUORUM, id="standby of the quorum"),
        pytest.param(replace(STANDBY, sync_standby=True, has_view=False), None, {"/replica", "/read-only", "/health"}, id="no view"),
        pytest.param(replace(STANDBY, noloadbalance=True), None, {"/health"}, id="noloadbalance"),
        pytest.param(replace(STANDBY, running=False), None, set(), id="server does not answer"),
        pytest.param(replace(STANDBY, state="stopped", running=False), None, set(), id="stopped"),
        pytest.param(replace(STANDBY, state="starting"), None, set(), id="starting"),
        pytest.param(replace(PRIMARY, state="stopping", running=False), 5.0, LEADS - {"/health"}, id="leader that is being stopped"),
        pytest.param(CLUSTER_OF_ANOTHER, None, FOLLOWS, id="replica in a standby cluster"),
        pytest.param(
            CLUSTER_OF_ANOTHER,
            5.0,
            {"/leader", "/standby-leader", "/standby_leader", "/read-only", "/read-only-sync", "/read-only-synchronous"}
            | {"/read-only-quorum", "/health"},
            id="leader of a standby cluster",
        ),
        pytest.param(None, None, set(), id="no picture yet"),
        pytest.param(None, 5.0, set(), id="no picture but a lease"),
    ],
)
def test_a_check_passes_where_the_interface_says_so(picture: Picture | None, lease_s: float | None, expected: set[str]) -> None:
    assert passing(picture, lease_s=lease_s) == expected


@pytest.mark.parametrize("picture", [PRIMARY, STANDBY, replace(STANDBY, sync_standby=True), replace(PRIMARY, pause=True)])
def test_no_check_passes_on_a_picture_older_than_ttl(picture: Picture) -> None:
    assert passing(picture, age_s=picture.ttl_s, lease_s=5.0) == set()
    assert passing(picture, age_s=picture.ttl_s - 0.1, lease_s=5.0) != set()


@pytest.mark.parametrize("path", LEADER_PATHS)
def test_the_leader_stops_to_be_one_when_the_fence_begins(path: str) -> None:
    assert health.passes(path, check(PRIMARY, lease_s=0.001))
    assert not health.passes(path, check(PRIMARY, lease_s=0.0))


def test_in_pause_without_any_view_of_the_store_only_the_role_counts() -> None:
    blind = replace(PRIMARY, pause=True, has_view=False)
    assert {"/primary", "/leader", "/read-write"} <= passing(blind)
    assert passing(replace(blind, pause=False)) == {"/health"}
    assert "/primary" not in passing(replace(STANDBY, pause=True, has_view=False), lease_s=5.0)


@pytest.mark.parametrize(
    ("lag", "passes"),
    [
        ("0", False),
        ("9", False),
        ("10", True),
        ("1kB", True),
        ("10MB", True),
        ("nonsense", True),
        ("", True),
        ("-1", False),
        ("1 MB", True),
    ],
)
def test_a_lag_limits_how_far_a_replica_is_behind(lag: str, passes: bool) -> None:
    assert ("/replica" in passing(STANDBY, {"lag": lag})) is passes
    assert ("/read-only" in passing(STANDBY, {"lag": lag})) is passes


def test_a_lag_counts_from_what_the_wal_receiver_heard_of_the_leader() -> None:
    made = check(STANDBY, {"lag": "10"})
    assert made.measured is not None
    assert not health.passes("/replica", replace(made, measured=replace(made.measured, latest_end=OPTIME + 1)))


def test_a_replica_whose_position_is_not_known_lags() -> None:
    assert "/replica" not in passing(replace(STANDBY, replayed=None), {"lag": "1kB"})


def test_a_lag_means_nothing_to_the_leader() -> None:
    assert {"/primary", "/read-only"} <= passing(PRIMARY, {"lag": "0"}, lease_s=5.0)


@pytest.mark.parametrize(
    ("query", "passes"),
    [
        ({"tag_zone": "x"}, True),
        ({"tag_zone": "X"}, False),
        ({"tag_zone": "y"}, False),
        ({"tag_rack": "1"}, False),
        ({"tag_flag": "True"}, True),
        ({"tag_flag": "true"}, True),
        ({"tag_number": "7"}, True),
        ({"tag_number": "7.0"}, False),
        ({"tag_zone": "x", "tag_flag": "false"}, False),
    ],
)
def test_every_tag_asked_for_must_be_the_node_s_own(query: dict[str, str], passes: bool) -> None:
    tagged = replace(STANDBY, tags=(("zone", "x"), ("flag", True), ("number", 7)))
    found = passing(tagged, query)
    assert ({"/replica", "/read-only", "/health", "/async"} <= found) is passes
    assert ("/read-only" in passing(replace(tagged, role="primary"), query=query, lease_s=5.0)) is passes


def test_tags_mean_nothing_to_checks_for_the_leader() -> None:
    assert set(LEADER_PATHS) <= passing(PRIMARY, {"tag_zone": "elsewhere"}, lease_s=5.0)


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/standby-leader-primary", health.standby_leader),
        ("/my-leader", health.leader),
        ("/read-write/anything", health.primary),
        ("/primary-replica", health.primary),
        ("/replica/anything", health.replica),
        ("/read-only-something", health.read_only),
        ("/healthy", health.health),
        ("/sync/", health.synchronous),
        ("/async", health.asynchronous),
        ("/read-only-sync", health.read_only_synchronous),
        ("/read-only-syncs", None),
        ("/synchronously", None),
        ("/patroni", None),
    ],
)
def test_the_rule_is_found_by_parts_of_the_path_in_the_field_s_order(path: str, rule: object) -> None:
    assert health.rule_for(path) is rule


@pytest.mark.parametrize(
    ("picture", "after_s", "lives"),
    [
        pytest.param(PRIMARY, 37.9, True, id="primary, within ttl of the next turn"),
        pytest.param(PRIMARY, 38.1, False, id="primary, later"),
        pytest.param(STANDBY, 67.9, True, id="standby, within twice the ttl"),
        pytest.param(STANDBY, 68.1, False, id="standby, later"),
        pytest.param(replace(PRIMARY, running=False), 67.9, True, id="primary that does not run"),
        pytest.param(replace(PRIMARY, pause=True), 9999.0, True, id="paused"),
        pytest.param(None, 59.0, True, id="agent not begun yet"),
        pytest.param(None, 61.0, False, id="agent never begins"),
    ],
)
def test_a_node_lives_as_long_as_its_loop_turns(picture: Picture | None, after_s: float, lives: bool) -> None:
    assert health.live(seen(picture), NOW + after_s, NOW) is lives


@pytest.mark.parametrize(
    ("picture", "lease_s", "query", "is_ready"),
    [
        pytest.param(PRIMARY, 5.0, {}, True, id="leader"),
        pytest.param(replace(PRIMARY, running=False), 5.0, {}, True, id="leader whose server does not answer"),
        pytest.param(PRIMARY, None, {}, True, id="primary that runs"),
        pytest.param(STANDBY, None, {}, True, id="streams"),
        pytest.param(replace(STANDBY, replication_state="in archive recovery"), None, {}, False, id="does not stream"),
        pytest.param(replace(STANDBY, has_view=False), None, {}, False, id="no view of the store"),
        pytest.param(replace(STANDBY, has_view=False, failsafe_active=True), None, {}, True, id="failsafe"),
        pytest.param(replace(STANDBY, replayed=OPTIME - 2_000_000), None, {}, False, id="too far behind"),
        pytest.param(replace(STANDBY, replayed=OPTIME - 2_000_000), None, {"lag": "3MB"}, True, id="not too far for this client"),
        pytest.param(replace(STANDBY, replayed=OPTIME - 2_000_000), None, {"mode": "write"}, True, id="received is enough"),
        pytest.param(STANDBY, None, {"lag": "1"}, False, id="too far for this client"),
        pytest.param(replace(STANDBY, running=False), None, {}, False, id="server does not answer"),
        pytest.param(None, None, {}, False, id="agent not begun yet"),
    ],
)
def test_a_node_is_ready_when_it_may_be_counted_on(
    picture: Picture | None, lease_s: float | None, query: dict[str, str], is_ready: bool
) -> None:
    assert health.ready(check(picture, query, lease_s=lease_s)) is is_ready


def test_a_node_is_not_ready_by_a_stale_picture() -> None:
    assert not health.ready(check(STANDBY, age_s=31.0))


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [("/replica", "", False), ("/replica", "lag=1MB", True), ("/readiness", "", True), ("/primary", "tag_x=1", False)],
)
def test_a_check_that_rests_on_a_position_asks_for_a_fresh_one(path: str, query: str, expected: bool) -> None:
    assert health.needs_position(path, query) is expected
