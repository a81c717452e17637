"""What a proxy is told: who may, what, and in which order."""

from dataclasses import replace

import pytest

from hacore.interfaces import Endpoint, Hold, RoutingState
from hacore_router_haproxy import plan
from hacore_router_haproxy.plan import Known
from hacore_router_haproxy.settings import HaproxySettings
from hacore_router_haproxy.wire import Server, Shown

ENDS = {name: Endpoint(member=name, host="10.0.0.1", port=5432) for name in "abc"}
NOBODY = {"a": "MAINT", "b": "MAINT", "c": "MAINT"}


def state(leader: str | None, *, me: str = "a", token: int = 5) -> RoutingState:
    return RoutingState(
        token=token,
        revision=1,
        me=ENDS[me],
        leader=ENDS[leader] if leader else None,
        leads=me == leader,
        standbys=tuple(ENDS[name] for name in "abc" if name != leader),
        members=tuple(ENDS.values()),
    )


def shown(statuses: dict[str, str], *, token: int | None = 5, closed: bool = False, sessions: int = 0) -> Shown:
    servers = {name: Server(name=name, status=status, sessions=sessions, queue=0, address="") for name, status in statuses.items()}
    return Shown(servers=servers, token=token, is_closed=closed)


LED_BY_A = shown(NOBODY | {"a": "UP"})


@pytest.mark.parametrize(
    ("wanted", "known", "there", "leader"),
    [
        pytest.param(state("b", token=6), Known(token=5), LED_BY_A, "b", id="a newer token says who leads"),
        pytest.param(state(None, token=6, me="b"), Known(token=5), LED_BY_A, None, id="and that the one before does not any more"),
        pytest.param(state("a"), Known(token=5), shown(NOBODY), "a", id="the same token, nobody led yet"),
        pytest.param(state("a", me="b"), Known(token=5), shown(NOBODY), "a", id="also from another node"),
        pytest.param(state(None, me="b"), Known(token=5), LED_BY_A, "a", id="one that does not know yet takes nothing back"),
        pytest.param(state(None, me="a"), Known(token=5), LED_BY_A, None, id="the one that led does"),
        pytest.param(
            state(None, me="b"), Known(token=5, seen_leading=(5, "a")), LED_BY_A, None, id="and so does one that has seen it lead"
        ),
        pytest.param(state(None, me="b"), Known(token=5, seen_leading=(4, "a")), LED_BY_A, "a", id="under this token, not another"),
        pytest.param(state("a", me="b"), Known(token=5, is_closed=True), shown(NOBODY), None, id="what was taken back stays so"),
        pytest.param(state("a", me="a"), Known(token=5, is_closed=True), shown(NOBODY), "a", id="unless the node holds the lease"),
    ],
)
def test_who_shall_get_the_writes(wanted: RoutingState, known: Known, there: Shown, leader: str | None) -> None:
    assert plan.leader_of(wanted, known, there) == leader


def test_only_the_node_that_leads_is_told_how_a_cluster_that_is_no_more_is_forgotten() -> None:
    leads = replace(state("a", token=1), leads=True)
    assert "set server writes/hacore-token addr 0.0.0.0 port 1" in plan.refusal(leads, Known(token=57), "writes")
    assert "set server" not in plan.refusal(replace(leads, leads=False), Known(token=57), "writes")


def test_a_state_under_an_older_token_is_older() -> None:
    assert plan.is_older(state("a", token=5), Known(token=6))
    assert not plan.is_older(state("a", token=6), Known(token=6))


@pytest.mark.parametrize(
    ("wanted", "known", "leader", "is_taken_back"),
    [
        (state(None), Known(token=5), None, True),
        (state(None, me="b"), Known(token=5, seen_leading=(5, "a")), None, False),
        (state("a"), Known(token=5), "a", False),
        (state("a"), Known(token=5, is_closed=True), "a", False),
        (state("a", me="b"), Known(token=5, is_closed=True), None, True),
        (state("b", token=6), Known(token=5, is_closed=True), "b", False),
        (state(None, token=6), Known(token=5), None, False),
    ],
)
def test_what_is_taken_back_is_kept(wanted: RoutingState, known: Known, leader: str | None, is_taken_back: bool) -> None:
    assert plan.is_taken_back(known, wanted, LED_BY_A, leader) is is_taken_back


def test_under_a_token_under_which_nobody_led_nothing_is_taken_back() -> None:
    assert not plan.is_taken_back(Known(token=5), state(None), shown(NOBODY), None)


def test_down_comes_before_up_and_the_token_before_both() -> None:
    commands = list(plan.primary_commands("rw", shown(NOBODY | {"a": "UP"}, sessions=2), leader="b", hold=False, token=6, closed=False))
    assert commands == [
        "set server rw/hacore-token addr 0.0.0.6 port 1",
        "set server rw/a state maint",
        "shutdown sessions server rw/a",
        "shutdown sessions server rw/c",
        "set server rw/b state ready",
    ]


@pytest.mark.parametrize("status", ["UP", "DOWN", "no check", "DRAIN", "NOLB"])
@pytest.mark.parametrize("hold", [True, False])
@pytest.mark.parametrize("leader", ["a", "x", None])
def test_only_the_leader_is_ever_told_to_be_ready(status: str, hold: bool, leader: str | None) -> None:
    told = list(plan.primary_commands("rw", shown(dict.fromkeys("abc", status)), leader=leader, hold=hold, token=6, closed=False))
    assert [one for one in told if one.endswith("ready") and one != f"set server rw/{leader} state ready"] == []
    assert {f"set server rw/{name} state maint" for name in "abc" if name != leader} <= set(told)


def test_what_is_right_is_not_told_again() -> None:
    assert list(plan.primary_commands("rw", LED_BY_A, leader="a", hold=False, token=5, closed=False)) == []


def test_a_leader_that_is_held_finishes_its_sessions_and_a_closed_one_stays_closed() -> None:
    assert list(plan.primary_commands("rw", LED_BY_A, leader="a", hold=True, token=5, closed=False)) == ["set server rw/a state drain"]
    assert list(plan.primary_commands("rw", shown(NOBODY), leader="a", hold=True, token=5, closed=False)) == []


def test_a_hold_ends_with_its_time() -> None:
    held = replace(state("a"), hold=Hold(switchover_id="x", ends_at=10.0))
    assert [plan.is_held(held, now) for now in (9.0, 10.0)] == [True, False]
    assert not plan.is_held(state("a"), 9.0)


def test_a_proxy_without_a_marker_is_told_none() -> None:
    assert list(plan.primary_commands("rw", shown(NOBODY, token=None), leader=None, hold=False, token=6, closed=True)) == []


@pytest.mark.parametrize(
    ("reads", "standbys", "ready"),
    [
        ("never", "bc", "bc"),
        ("never", "", ""),
        ("alone", "bc", "bc"),
        ("alone", "", "a"),
        ("always", "bc", "abc"),
    ],
)
def test_reads_go_to_standbys_and_to_the_leader_as_the_settings_say(reads: str, standbys: str, ready: str) -> None:
    wanted = replace(state("a"), standbys=tuple(ENDS[name] for name in standbys))
    commands = list(plan.standby_commands("ro", shown(NOBODY, sessions=3), wanted, reads))
    assert commands == [f"set server ro/{name} state ready" for name in ready]


def test_a_standby_that_serves_reads_no_more_is_closed_and_its_sessions_are_left() -> None:
    wanted = replace(state("a"), standbys=(ENDS["b"],))
    commands = list(plan.standby_commands("ro", shown({"a": "MAINT", "b": "UP", "c": "UP"}, sessions=3), wanted, "alone"))
    assert commands == ["set server ro/c state maint"]


def test_what_is_wrong_is_said() -> None:
    settings = HaproxySettings(stats_sockets=("/s",), primary_backend="rw", standby_backend="ro")
    there = {"rw": shown({"a": "DOWN", "b": "MAINT"})}
    assert plan.problems(settings, there, state("a"), "a") == (
        "no backend ro",
        "backend rw has no server for c",
        "the checks of rw/a say DOWN",
    )
    assert plan.problems(settings, {"rw": shown(NOBODY), "ro": LED_BY_A}, state("a", me="b"), None) == (
        "a was taken back under token 5, and is opened when it leads again",
    )


def test_what_was_told_and_does_not_show_is_said() -> None:
    settings = HaproxySettings(stats_sockets=("/s",), primary_backend="rw", standby_backend=None)
    undone = ["set server rw/a state ready", "shutdown sessions server rw/b", "disable health rw/c"]
    assert plan.problems(settings, {"rw": shown(NOBODY)}, state("a"), "a", undone) == ("not done: set server rw/a state ready",)


def test_checks_stand_still_in_maintenance_and_go_on_afterwards() -> None:
    checked = {name: Server(name=name, status=status, sessions=0, queue=0, address="", is_checked=True) for name, status in NOBODY.items()}
    there = Shown(servers=checked | {"b": replace(checked["b"], status="DOWN"), "c": replace(checked["c"], is_checked=False)}, token=5)
    assert list(plan.check_commands("rw", there, is_paused=True, may_be_off="abc")) == ["disable health rw/a"]
    assert list(plan.check_commands("rw", there, is_paused=False, may_be_off="abc")) == ["enable health rw/c"]
    assert list(plan.check_commands("rw", there, is_paused=False, may_be_off="ab")) == []


def test_the_proxy_s_own_memory_says_more_than_ours() -> None:
    mine = Known(token=9, is_closed=True, seen_leading=(9, "a"))
    assert mine.with_shown(shown(NOBODY, token=3)) == Known(token=3, seen_leading=(9, "a"))
    assert mine.with_shown(shown(NOBODY, token=None)) == mine
