"""Where traffic shall go, by example worlds: this node is a, others are b and c."""

from dataclasses import replace
from typing import Any

import pytest

from hacore.interfaces import Endpoint, Hold, RoutingState
from hacore.model.cluster import ClusterView, HoldMark, OwnRecord
from hacore.model.commands import ShutdownCommand
from hacore.model.lease import Lock
from hacore.model.lsn import Lsn
from hacore.model.node import FenceState, Role, ServerState
from hacore.model.policy import Tags
from hacore.model.world import World
from hacore.publish.routing import lease_ended, next_state, renewed
from tests.unit.decide import worlds as w


def told(world: World, before: RoutingState | None = None) -> RoutingState:
    state = next_state(before, world)
    assert state is not None
    return state


def names(endpoints: tuple[Endpoint, ...]) -> list[str]:
    return [one.member for one in endpoints]


def leader(state: RoutingState) -> str | None:
    return state.leader.member if state.leader is not None else None


def led_by_b(**own: Any) -> World:
    return w.world(cluster=w.cluster("b", own=w.own(**own)))


def with_leader(**fields: Any) -> World:
    """Follow b, whose member record says ``fields``."""
    members = (w.member("a"), w.member("b", **{"role": "primary", **fields}), w.member("c"))
    return w.world(cluster=w.cluster("b", members=members))


def test_a_standby_tells_of_the_leader_and_of_all_that_may_be_read() -> None:
    state = told(w.world())
    assert state.leader == Endpoint(member="b", host="10.0.0.2", port=5432, lag_bytes=0)
    assert (state.leads, state.valid_until, state.token, state.hold) == (False, None, 1, None)
    assert names(state.standbys) == ["a", "c"]
    assert names(state.members) == ["a", "b", "c"]
    assert state.me.is_streaming


def test_the_leader_leads_until_its_fence_begins() -> None:
    world = w.leading()
    state = told(world)
    assert world.lease is not None
    assert (leader(state), state.leads, state.valid_until, state.token) == ("a", True, world.lease.fence_at, 1)
    assert names(state.standbys) == ["b", "c"]


def test_this_node_takes_writes_as_soon_as_it_is_primary_under_the_lease() -> None:
    waits = w.leading(node=w.standby())
    assert leader(told(waits)) is None
    assert not told(waits).leads
    assert leader(told(w.leading(node=w.primary(timeline=2)))) == "a"  # not claimed yet: the next turn does


@pytest.mark.parametrize("server", [ServerState.STOPPED, ServerState.STARTING, ServerState.STOPPING, ServerState.ORPHANED])
def test_a_leader_whose_server_does_not_run_takes_no_writes(server: ServerState) -> None:
    world = w.leading(node=w.primary(server=server))
    state = told(world)
    assert world.lease is not None
    assert (leader(state), state.leads, state.valid_until) == (None, False, world.lease.fence_at)  # what goes with the lease stays
    assert renewed(state, 2000.0, w.NOW).valid_until == 2000.0
    assert lease_ended(state, world, w.NOW).valid_until is None


def test_what_goes_with_the_lease_goes_at_the_stop_of_a_leader_that_hands_over_or_ends() -> None:
    hands_over = {"sightings": w.sightings(demoting="b", demoting_since=w.NOW)}
    ends = {"commands": (ShutdownCommand(id="end", received_at=w.NOW),)}
    for fields in (hands_over, ends):
        runs = told(w.leading(**fields))
        assert (runs.leads, runs.valid_until is not None) == (True, True)
        stops = told(w.leading(node=w.primary(server=ServerState.STOPPING), **fields), runs)
        assert (stops.leads, stops.valid_until) == (False, None)


def test_a_primary_that_only_does_not_answer_in_time_is_still_led_to() -> None:
    silent = w.primary(server=ServerState.UNREACHABLE, role=None, timeline=None)
    assert told(w.leading(node=silent)).leads
    assert not told(w.leading(node=silent, cluster=w.cluster("a", own=w.own(holder="a", token=2)))).leads


def test_a_primary_on_a_timeline_that_another_has_claimed_is_not_led_to() -> None:
    world = w.leading(cluster=w.cluster("a", own=w.own(holder="a", claims=((1, 9),))))
    assert leader(told(world)) is None


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param({}, "b", id="primary under this lock"),
        pytest.param({"token": 2, "instance": None}, None, id="acquired, not renewed yet"),
        pytest.param({"token": 2}, None, id="renewed, not promoted"),
        pytest.param({"token": 2, "claims": ((1, 1), (2, 2))}, None, id="has claimed, not promoted"),
        pytest.param({"token": 2, "claims": ((1, 1), (2, 2)), "timeline": 2}, "b", id="promoted"),
        pytest.param({"token": 2, "claims": ((1, 2), (2, 2)), "timeline": 1}, None, id="took its lock again, not promoted"),
        pytest.param({"bootstrapping": True}, None, id="bootstraps"),
    ],
)
def test_another_takes_writes_once_the_own_record_shows_it_as_primary(own: dict[str, Any], expected: str | None) -> None:
    assert leader(told(led_by_b(**own))) == expected


def test_the_own_record_counts_before_the_member_record_of_a_new_leader() -> None:
    assert leader(told(with_leader(role="replica"))) == "b"
    assert "b" not in names(told(with_leader(role="replica")).standbys)


@pytest.mark.parametrize("state", ["stopped", "stopping", "crashed", "start failed"])
def test_a_leader_that_says_it_is_down_takes_no_writes(state: str) -> None:
    assert leader(told(with_leader(state=state))) is None


def test_of_a_leader_that_is_no_hacore_the_member_record_tells() -> None:
    members = (w.member("a"), w.member("b", role="primary", hacore_version=None), w.member("c"))
    foreign = w.cluster("b", lock=Lock(holder="b", instance="99"), members=members)
    assert leader(told(w.world(cluster=foreign))) == "b"
    members = (members[0], replace(members[1], role="replica"), members[2])
    assert leader(told(w.world(cluster=replace(foreign, members=members)))) is None


def test_without_a_lock_nobody_takes_writes() -> None:
    assert leader(told(w.leaderless())) is None


def test_a_lock_in_this_node_s_name_without_its_lease_leads_nowhere() -> None:
    assert leader(told(w.world(cluster=w.cluster("a")))) is None


def test_readers_go_to_running_standbys_that_want_them_and_to_no_other() -> None:
    members = (
        w.member("a"),
        w.member("b", role="primary"),
        w.member("c", state="starting"),
        w.member("d", tags=Tags(noloadbalance=True, published=(("noloadbalance", True),))),
        w.member("e", lsn=Lsn(w.POSITION - 7), replication_state="streaming"),
    )
    state = told(w.world(cluster=w.cluster(members=members)))
    assert names(state.standbys) == ["a", "e"]
    assert (state.standbys[1].lag_bytes, state.standbys[1].is_streaming) == (7, True)
    assert names(state.members) == ["a", "b", "c", "d", "e"]
    assert state.members[3].tag("noloadbalance") is True


@pytest.mark.parametrize("url", [None, "", "postgres://:5432/", "postgres://host:what/", "nonsense"])
def test_a_member_without_an_address_is_no_target(url: str | None) -> None:
    assert names(told(with_leader(conn_url=url)).members) == ["a", "c"]
    assert leader(told(with_leader(conn_url=url))) is None


def test_this_node_is_told_as_it_is_and_not_as_its_record_says() -> None:
    cluster = w.cluster(members=(w.member("a", state="stopped"), w.member("b", role="primary")))
    state = told(w.world(cluster=cluster))
    assert state.me.state == "running"
    assert names(state.standbys) == ["a"]


def test_the_same_world_again_is_the_same_state() -> None:
    world = w.world()
    first = told(world)
    assert next_state(first, replace(world, now=world.now + 10)) is first


def test_each_state_has_a_larger_revision_than_the_one_before_also_of_an_agent_before() -> None:
    first = told(w.world())
    second = told(w.leaderless(), first)
    assert second.revision > first.revision
    assert told(w.world(now=w.NOW + 10)).revision > second.revision


# --- without a view of the store ---------------------------------------------------------------------------------------


def test_while_the_store_is_silent_the_others_stay_as_they_were_last_known() -> None:
    before = told(w.world())
    state = told(w.world(cluster=None, node=w.standby(server=ServerState.STOPPED, role=None)), before)
    assert (leader(state), names(state.standbys), names(state.members)) == ("b", ["c"], ["a", "b", "c"])


def test_a_leader_that_cannot_read_the_store_leads_on_while_its_lease_lasts_and_not_longer() -> None:
    before = told(w.leading())
    state = told(w.leading(cluster=None), before)
    assert state.leads
    assert names(state.standbys) == ["b", "c"]
    assert leader(told(w.world(cluster=None, node=w.primary()), state)) is None


def test_an_agent_that_was_just_started_tells_nothing_before_it_knows_something() -> None:
    young = w.sightings(started_at=w.NOW - 1)
    assert next_state(None, w.world(cluster=None, sightings=young)) is None
    assert told(w.leading(cluster=None, sightings=young)).leads


def test_after_one_ttl_without_a_store_no_lease_can_stand_any_more() -> None:
    world = w.world(cluster=None, sightings=w.sightings(started_at=w.NOW - 31))
    assert leader(told(world)) is None
    assert next_state(None, w.paused(world)) is None  # a primary in maintenance leads on without a lease


def test_the_token_is_the_newest_that_is_known() -> None:
    assert told(w.world(cluster=w.cluster(own=w.own(token=7)))).token == 7
    assert told(w.leading(lease=w.lease(token=8))).token == 8
    assert told(w.world(cluster=None, memory=w.memory(token=5))).token == 5
    assert told(w.world(cluster=w.cluster(own=None))).token == 1


# --- in maintenance ----------------------------------------------------------------------------------------------------

DISARMED = FenceState(armed=False)


def unfenced(name: str, **fields: Any) -> ClusterView:
    """The store's picture when the lease of a primary left unfenced in maintenance has ended."""
    return w.cluster(None, **{"own": w.own(holder=name, unfenced=name), **fields})


def paused_leader(**fields: Any) -> World:
    return w.paused(w.leading(node=w.primary(fence=DISARMED), **fields))


def without_lease(**fields: Any) -> World:
    """Its lease has ended while the store was away."""
    return w.paused(w.world(**{"cluster": None, "node": w.primary(fence=DISARMED), **fields}))


def test_in_maintenance_a_primary_is_led_to_when_nobody_could_renew_its_lease() -> None:
    state = told(without_lease(), told(paused_leader()))
    assert (leader(state), state.leads, state.valid_until) == ("a", False, None)
    for view in (unfenced("a"), replace(unfenced("a"), lock=Lock(holder="a", instance="7"))):
        state = told(without_lease(cluster=view), state)
        assert (leader(state), state.leads) == ("a", False)
    assert told(paused_leader(cluster=unfenced("a"), lease=w.lease(token=2)), state).leads  # in the turn that takes it again


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(w.world(cluster=None, node=w.primary(fence=DISARMED)), id="not in maintenance"),
        pytest.param(without_lease(node=w.primary()), id="fenced"),
        pytest.param(without_lease(node=w.standby(fence=DISARMED)), id="a standby"),
        pytest.param(without_lease(node=w.primary(fence=DISARMED, server=ServerState.STOPPED)), id="stopped"),
        pytest.param(without_lease(cluster=w.cluster(None, own=w.own(holder="a"))), id="nobody says that it is the only one"),
        pytest.param(without_lease(cluster=w.cluster(None, own=None)), id="there is no own record"),
        pytest.param(
            without_lease(cluster=replace(unfenced("a"), lock=Lock(holder="b", instance="8"))), id="another holds the lock, no primary yet"
        ),
    ],
)
def test_in_maintenance_nothing_else_is_led_to_without_a_lease_and_not_again_before_there_is_one(world: World) -> None:
    state = told(world, told(paused_leader()))
    assert leader(state) is None
    assert leader(told(without_lease(), state)) is None


def test_another_that_is_primary_under_the_lock_is_led_to_whoever_was_before() -> None:
    assert leader(told(without_lease(cluster=w.cluster("b", own=w.own())), told(paused_leader()))) == "b"
    assert leader(told(w.paused(w.world(cluster=w.cluster("c", own=w.own(holder="c")))), told(w.world()))) == "c"


def test_in_maintenance_other_nodes_lead_on_to_the_one_that_nobody_else_may_replace() -> None:
    before = told(w.world())
    taken_again = w.own(unfenced="b", token=2, instance=None)
    for view in (
        None,
        unfenced("b"),
        unfenced("b", members=(w.member("a"), w.member("c"))),  # its record has ended, too
        w.cluster("b", own=taken_again),  # not renewed yet
    ):
        before = told(w.paused(w.world(cluster=view)), before)
        assert leader(before) == "b"
        assert names(before.members) == ["a", "b", "c"]
    assert leader(told(w.world(cluster=unfenced("b")), before)) is None  # maintenance is over
    down = unfenced("b", members=(w.member("a"), w.member("b", state="stopped")))
    assert leader(told(w.paused(w.world(cluster=down)), before)) is None
    assert leader(told(w.paused(w.world(cluster=unfenced("b"))))) is None  # never seen leading


def test_an_agent_that_was_started_without_a_store_tells_nothing_of_a_maintenance_that_its_disk_knows_of() -> None:
    old = w.sightings(started_at=w.NOW - 31)
    assert next_state(None, w.world(cluster=None, sightings=old, memory=w.memory(paused=True))) is None


# --- between two turns -------------------------------------------------------------------------------------------------


def test_a_renewal_moves_the_end_and_the_revision() -> None:
    before = told(w.leading())
    after = renewed(before, 2000.0, w.NOW)
    assert replace(after, valid_until=before.valid_until, revision=before.revision) == before
    assert (after.valid_until, after.revision > before.revision) == (2000.0, True)
    standby = told(w.world())
    assert renewed(standby, 2000.0, w.NOW) is standby


def test_a_lease_that_has_ended_leads_nowhere() -> None:
    before = told(w.leading())
    after = lease_ended(before, w.leading(), w.NOW)
    assert (leader(after), after.leads, after.valid_until, after.revision > before.revision) == (None, False, None, True)


def test_a_lease_that_ran_out_in_maintenance_leads_on_and_one_that_was_given_back_does_not() -> None:
    world = paused_leader()
    before = told(world)
    assert before.valid_until is not None
    ran_out = lease_ended(before, world, before.valid_until)
    assert (leader(ran_out), ran_out.leads, ran_out.valid_until) == ("a", False, None)
    assert leader(lease_ended(before, world, before.valid_until - 1)) is None
    for fenced in (w.paused(w.leading()), w.leading(node=w.primary(fence=DISARMED)), None):
        assert leader(lease_ended(before, fenced, before.valid_until)) is None


def test_maintenance_is_told() -> None:
    assert told(w.paused(w.world())).is_paused


def test_a_node_that_is_promoted_is_no_standby_any_more() -> None:
    state = told(w.leading(node=w.primary(role=Role.PRIMARY)))
    assert "a" not in names(state.standbys)


# --- what a planned switchover holds back -----------------------------------------------------------------------------

MARK = HoldMark(switchover_id="1-10", token=1, limit_s=35.0)
HOLD = Hold(switchover_id="1-10", ends_at=w.NOW + 35.0)


def marked_by(name: str = "a", **fields: Any) -> OwnRecord:
    return w.own(**{"holder": name, "hold": MARK, **fields})


def marked(**own: Any) -> World:
    """This node leads, and has marked that it holds work back."""
    return w.leading(cluster=w.cluster("a", own=marked_by(**own)))


def following_marked(**own: Any) -> World:
    return w.world(cluster=w.cluster("b", own=marked_by("b", **own)))


def test_a_mark_holds_work_back_on_every_node_for_its_limit_from_its_first_sight() -> None:
    for world in (marked(), following_marked()):
        first = told(world)
        assert first.hold == HOLD
        assert told(replace(world, now=w.NOW + 20), first).hold == HOLD
    assert told(marked()).leads


def test_a_mark_that_the_turn_has_written_is_told_before_it_is_read() -> None:
    state = next_state(None, w.leading(), written=marked_by())
    assert state is not None
    assert state.hold == HOLD
    gone = next_state(state, marked(), written=w.own(holder="a"))
    assert gone is not None
    assert gone.hold is None


def test_work_waits_while_nobody_takes_writes() -> None:
    stopping = told(replace(marked(), node=w.primary(server=ServerState.STOPPING)))
    assert (leader(stopping), stopping.hold) == (None, HOLD)
    released = w.world(cluster=w.cluster(None, own=marked_by("b", clean="7")))
    assert told(released).hold == HOLD
    acquired = following_marked(token=2)  # the next leader, which keeps the mark and is not primary yet
    assert (leader(told(acquired)), told(acquired).hold) == (None, HOLD)


def test_work_goes_on_once_the_next_leader_takes_writes_whatever_the_mark_says() -> None:
    assert told(following_marked(token=2, claims=((1, 1), (2, 2)), timeline=2)).hold is None
    promoted = w.leading(
        lease=w.lease(token=2), cluster=w.cluster("a", own=marked_by("a", token=2, claims=((1, 1), (2, 2)))), node=w.primary()
    )
    promoted = replace(promoted, node=w.primary(timeline=2))
    assert (told(promoted).leads, told(promoted).hold) == (True, None)


def test_work_goes_on_where_a_leader_that_is_no_hacore_takes_writes() -> None:
    members = (w.member("a"), w.member("b", role="primary", hacore_version=None))
    foreign = w.cluster("b", lock=Lock(holder="b", instance="99"), members=members, own=marked_by("c"))
    assert told(w.world(cluster=foreign)).hold is None


def test_the_mark_of_a_second_switchover_has_its_own_time() -> None:
    before = told(marked())
    other = HoldMark(switchover_id="1-20", token=1, limit_s=35.0)
    assert told(replace(marked(hold=other), now=w.NOW + 20), before).hold == Hold(switchover_id="1-20", ends_at=w.NOW + 55.0)


def test_while_the_store_is_silent_work_stays_held_but_not_for_a_node_that_has_become_primary() -> None:
    before = told(following_marked())
    assert told(w.world(cluster=None), before).hold == HOLD
    assert told(w.leading(cluster=None), before).hold is None
    assert told(w.leading(cluster=None), told(marked())).hold == HOLD
