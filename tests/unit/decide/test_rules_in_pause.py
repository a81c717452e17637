"""Which rule answers in maintenance, beyond what the tests of the other tables say of it."""

from dataclasses import replace
from typing import Any

import pytest

from hacore.decide import decide
from hacore.model.jobs import JobKind, Outcome
from hacore.model.lsn import Lsn
from hacore.model.memory import Memory
from hacore.model.node import DirectoryState, FenceState, NodeState, Role
from hacore.model.steps import AcquireLease, Arm, CreateReplica, PutRecord, ReleaseLease, ReloadServer, RememberDemotion, StartServer
from hacore.model.world import World

from . import worlds as w

PAUSED = '{"pause":true}'
UNFENCED = w.own(holder="a", unfenced="a")
EMPTIED = {"initialize": None, "initialize_version": None, "config": None, "config_version": None, "history": None}


def test_whoever_takes_the_lock_of_an_emptied_store_in_a_pause_writes_the_configuration_that_is_in_force() -> None:
    empty = w.cluster(None, own=None, own_version=None, members=(), **EMPTIED)
    seen = w.paused(w.leaderless(node=w.primary(), cluster=empty, peers=(), memory=w.memory(held_token=1)))
    seen = replace(seen, me=replace(seen.me, bootstrap_config=PAUSED))
    decision = decide(seen)
    (step,) = decision.steps
    assert isinstance(step, AcquireLease)
    assert (decision.rule, step.puts) == ("primary_takes_lock_in_pause", (PutRecord(name="config", value=PAUSED, expected=0),))


def test_a_leader_in_a_pause_writes_records_that_are_missing() -> None:
    seen = w.paused(w.leading(cluster=w.cluster("a", own=w.own(holder="a", unfenced="a"), **EMPTIED)))
    decision = decide(replace(seen, me=replace(seen.me, bootstrap_config=PAUSED)))
    assert decision.rule == "restore_records_in_pause"
    assert {step.name: step.value for step in decision.steps if isinstance(step, PutRecord)} == {
        "initialize": w.SYSTEM_ID,
        "config": PAUSED,
    }
    unnoted = w.paused(w.leading(cluster=w.cluster("a", **EMPTIED), memory=Memory()))
    assert decide(unnoted).rule == "note_unfenced"


def test_a_person_names_who_shall_lead_where_the_one_that_a_pause_left_unfenced_is_lost() -> None:
    """Only since nobody leads: a wish of before says nothing of its end. And not beside a primary that answers."""
    named = w.cluster(None, own=w.own(unfenced="b"), failover=w.request(candidate="a"))
    since = w.sightings(failover_was_leaderless=True)
    seen = w.leaderless(cluster=named, sightings=since)
    (step,) = decide(seen).steps
    assert isinstance(step, AcquireLease)
    assert step.own.unfenced is None
    assert decide(w.paused(seen)).rule == "named_candidate_in_pause"
    of_before = decide(replace(seen, sightings=replace(since, failover_was_leaderless=False)))
    assert (of_before.rule, of_before.reason.count("again")) == ("may_not_lead", 1)  # it names this node already
    assert decide(replace(seen, cluster=replace(named, failover=w.request(leader="b", candidate="a")))).rule == "may_not_lead"
    assert decide(replace(seen, cluster=replace(named, failover=w.request(candidate="c")))).rule == "may_not_lead"
    writes = (w.peer("b", role=Role.PRIMARY), w.peer("c"))
    assert decide(replace(seen, peers=writes)).rule == "peer_comes_first"
    assert decide(w.paused(replace(seen, peers=writes))).steps == ()


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        ({"state": "crashed"}, "take_the_lock"),
        ({"state": "start failed"}, "take_the_lock"),
        ({"state": "stopped", "is_hacore": False}, "take_the_lock"),
        ({"state": "crashed", "is_hacore": False}, "may_not_lead"),
        ({"state": "stopping"}, "may_not_lead"),
        ({"state": "starting"}, "may_not_lead"),
    ],
)
def test_whom_a_pause_left_unfenced_bars_nobody_once_no_process_of_it_is_left(answer: dict[str, object], rule: str) -> None:
    peers = (w.peer("b", role=None, **answer), w.peer("c"))
    assert decide(w.leaderless(cluster=w.cluster(None, own=w.own(unfenced="b")), peers=peers)).rule == rule


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(
            w.leading(node=w.primary(fence=FenceState(), settings_wanted=True), cluster=w.cluster("a", own=UNFENCED)), id="leader"
        ),
        pytest.param(w.world(node=w.standby(settings_wanted=True)), id="standby"),
        pytest.param(w.leaderless(node=w.standby(settings_wanted=True)), id="nobody leads"),
    ],
)
def test_what_a_person_sets_in_a_pause_is_in_force_at_once(seen: World) -> None:
    assert decide(w.paused(seen)).steps == (ReloadServer(),)
    assert decide(w.paused(replace(seen, job=w.job(JobKind.CHECKPOINT)))).steps == ()
    assert decide(w.paused(replace(seen, node=replace(seen.node, settings_wanted=False)))).steps == ()


def test_a_standby_that_was_created_again_in_a_pause_is_started_once() -> None:
    copied = w.outcome(JobKind.CREATE_REPLICA, ago_s=2.0)
    down = w.stopped("in production")
    seen = w.paused(w.world(node=down, outcomes=(copied,)))
    assert [type(step) for step in decide(seen).steps] == [StartServer]
    for outcomes in ((), (w.outcome(JobKind.CREATE_REPLICA, error="no space"),)):
        assert decide(replace(seen, outcomes=outcomes)).rule == "nothing_in_pause"
    late = w.outcome(JobKind.START, error="takes no connections after 60 s, it goes on starting")
    for start in (late, w.outcome(JobKind.START)):
        has_run = replace(seen, outcomes=(copied, start), sightings=w.sightings(running_at=w.NOW - 0.5))
        assert decide(has_run).rule == "nothing_in_pause"  # a person has stopped it


def test_a_standby_whose_new_copy_was_refused_in_a_pause_runs_on_with_the_data_that_it_has() -> None:
    refused = w.outcome(JobKind.CREATE_REPLICA, ago_s=2.0, error="b does not let the user in", command="reinit")
    kept = w.stopped(directory=w.directory(control=w.control("shut down in recovery"), has_standby_signal=True))
    seen = w.paused(w.world(node=kept, outcomes=(refused,)))
    assert [type(step) for step in decide(seen).steps] == [StartServer]
    assert decide(replace(seen, outcomes=(replace(refused, command=None),))).rule == "nothing_in_pause"
    assert decide(replace(seen, sightings=w.sightings(running_at=w.NOW - 1))).rule == "nothing_in_pause"
    assert decide(replace(seen, node=w.stopped())).rule == "nothing_in_pause"  # no standby's data


@pytest.mark.parametrize("state", [DirectoryState.EMPTY, DirectoryState.UNFINISHED])
def test_a_copy_that_fails_in_a_pause_after_the_old_data_have_gone_is_made_again(state: DirectoryState) -> None:
    failed = w.outcome(JobKind.CREATE_REPLICA, ago_s=6.0, error="no space", command="reinit")
    seen = w.paused(w.world(node=w.stopped(directory=w.directory(state)), outcomes=(failed,)))
    decision = decide(seen)
    (step,) = decision.steps
    assert isinstance(step, CreateReplica)
    assert (decision.rule, step.command) == ("create_replica", "reinit")
    assert decide(replace(seen, outcomes=(replace(failed, ended_at=w.NOW - 1),))).rule == "waiting_for_ready_leader"
    assert decide(replace(seen, outcomes=(replace(failed, command=None),))).rule == "nothing_in_pause"
    assert decide(replace(seen, cluster=w.cluster(None))).rule == "nothing_in_pause"


@pytest.mark.parametrize("ago_s", [1.0, 6.0])
@pytest.mark.parametrize("demoting", [None, "c"])
def test_a_standby_that_shall_run_in_a_pause_is_started_until_it_does(demoting: str | None, ago_s: float) -> None:
    failed = w.outcome(JobKind.START, ago_s=ago_s, error="port taken")
    outcomes = (failed,) if demoting is not None else (failed, w.outcome(JobKind.CREATE_REPLICA, ago_s=9.0))
    since = w.sightings(demoting=demoting, demoting_since=None if demoting is None else w.NOW - 9)
    decision = decide(w.paused(w.world(node=w.stopped(), outcomes=outcomes, sightings=since)))
    assert decision.rule == "standby_in_pause"
    assert [type(step) for step in decision.steps] == ([] if ago_s < 5 else [StartServer])


RESTART_FAILED = w.outcome(JobKind.RESTART, ago_s=9.0, error="port taken", command="restart")


def restarted(*outcomes: Outcome, **fields: Any) -> World:
    """A primary in a pause whose restart has failed."""
    return w.paused(w.leading(node=w.stopped(fence=FenceState(armed=True, token=1)), outcomes=(RESTART_FAILED, *outcomes), **fields))


def test_a_primary_whose_restart_fails_in_a_pause_is_started_under_its_lock_until_it_runs() -> None:
    decision = decide(restarted())
    (start,) = decision.steps
    assert isinstance(start, StartServer)
    assert (decision.rule, start.role) == ("restart_goes_on", Role.PRIMARY)
    assert [type(step) for step in decide(replace(restarted(), node=w.stopped())).steps] == [Arm]
    just_now = decide(restarted(w.outcome(JobKind.START, ago_s=0.1, error="port taken")))
    assert (just_now.rule, just_now.steps) == ("restart_goes_on", ())
    assert [type(step) for step in decide(restarted(w.outcome(JobKind.START, ago_s=5.0, error="port taken"))).steps] == [StartServer]
    assert decide(restarted(job=w.job(JobKind.START, enables_writes=True))).rule == "work_in_pause"
    assert decide(restarted(cluster=w.cluster("a", failover=w.request(candidate="c")))).steps == (ReleaseLease(clean=True),)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"sightings": w.sightings(running_at=w.NOW - 5)}, id="it ran since, a person has stopped it"),
        pytest.param({"outcomes": (w.outcome(JobKind.RESTART, command="restart"),)}, id="it was done"),
        pytest.param({"outcomes": (replace(RESTART_FAILED, command=None),)}, id="nobody asked"),
        pytest.param({"node": w.bare()}, id="its data are gone"),
        pytest.param({"node": w.stopped(directory=w.directory(control=w.control(), has_standby_signal=True))}, id="a standby's data"),
        pytest.param({"cluster": w.cluster("a", own=w.own(holder="a", claims=((1, 2),)))}, id="another's timeline"),
    ],
)
def test_no_other_primary_that_is_down_in_a_pause_is_started(fields: dict[str, Any]) -> None:
    decision = decide(replace(restarted(), **fields))
    assert (decision.rule, decision.steps) == ("release_in_pause", (ReleaseLease(clean=True),))


def test_a_standby_whose_restart_fails_in_a_pause_is_started_until_it_runs() -> None:
    down = w.stopped(directory=w.directory(control=w.control("shut down in recovery"), has_standby_signal=True))
    seen = w.paused(w.world(node=down, outcomes=(RESTART_FAILED,)))
    assert (decide(seen).rule, [type(step) for step in decide(seen).steps]) == ("standby_in_pause", [StartServer])
    for fields in ({"sightings": w.sightings(running_at=w.NOW - 5)}, {"node": w.stopped()}, {"node": w.bare()}):
        assert decide(replace(seen, **fields)).rule == "nothing_in_pause"  # a former primary may have diverged


@pytest.mark.parametrize(
    ("node", "ago_s"),
    [pytest.param(w.stopped(), 60.0, id="nobody received the checkpoint"), pytest.param(w.stopped("in production"), 1.0, id="unclean")],
)
def test_a_primary_that_was_stopped_for_a_hand_over_in_a_pause_is_started_again_when_that_is_given_up(
    node: NodeState, ago_s: float
) -> None:
    demoting = w.sightings(demoting="c", demoting_since=w.NOW - ago_s)
    wish = w.cluster("a", own=w.own(holder="a", unfenced="a"), failover=w.request(leader="a", candidate="c"))
    seen = w.leading(node=node, sightings=demoting, cluster=wish, peers=(w.peer("c", reachable=False),), peers_asked=True)
    decision = decide(w.paused(seen))
    assert decision.rule == "hand_over_is_stuck"
    assert [type(step) for step in decision.steps] == [PutRecord, Arm, StartServer]
    assert [type(step) for step in decide(seen).steps] == [RememberDemotion, PutRecord]  # start_in_place follows


def given_up(**fields: Any) -> World:
    """A primary in a pause that was stopped for a hand-over and whose first start afterwards has failed."""
    values: dict[str, Any] = {
        "node": w.stopped(fence=FenceState(armed=True, token=1)),
        "sightings": w.sightings(demoting="c", demoting_since=w.NOW - 60),
        "outcomes": (w.outcome(JobKind.STOP, ago_s=50.0), w.outcome(JobKind.START, ago_s=6.0, error="port taken")),
        "peers": (w.peer("c", lsn=Lsn(w.POSITION + 120)),),
        "peers_asked": True,
    }
    return w.paused(w.leading(**{**values, **fields}))


def test_a_primary_that_was_stopped_for_a_hand_over_in_a_pause_is_started_until_it_runs() -> None:
    """Its wish is gone, so nobody would take the lock, and whoever has received the checkpoint now is too late."""
    again = decide(given_up())
    assert (again.rule, [type(step) for step in again.steps]) == ("start_again_in_pause", [StartServer])
    just_now = (w.outcome(JobKind.START, ago_s=0.1, error="port taken"),)
    assert (decide(given_up(outcomes=just_now)).rule, decide(given_up(outcomes=just_now)).steps) == ("start_again_in_pause", ())
    assert [type(step) for step in decide(given_up(node=w.stopped())).steps] == [Arm]
    assert decide(given_up(job=w.job(JobKind.START, enables_writes=True))).rule == "hand_over_in_flight"
    assert decide(given_up(node=w.primary())).steps == (RememberDemotion(candidate=None),)


def test_a_person_can_fail_over_from_a_primary_that_does_not_start_in_a_pause() -> None:
    wish = w.cluster("a", failover=w.request(candidate="c"))
    assert decide(given_up(cluster=wish)).steps == (ReleaseLease(clean=True),)
    assert [type(step) for step in decide(given_up(cluster=w.cluster("a", failover=w.request(leader="a", candidate="c")))).steps] == [
        StartServer
    ]


def handed_over(**fields: Any) -> World:
    """A former primary in a pause that has given the lock back for c, long ago."""
    own = w.own(holder="a", clean="7")
    values: dict[str, Any] = {
        "node": w.stopped(),
        "cluster": w.cluster(None, own=own, failover=w.request(leader="a", candidate="c")),
        "memory": w.memory(held_token=1, held_instance="7"),
        "sightings": w.sightings(lock_holder="a", demoting="c", demoting_since=w.NOW - 60, leaderless_since=w.NOW - 40),
        "peers": (w.peer("b"), w.peer("c", reachable=False)),
    }
    return w.paused(w.leaderless(**{**values, **fields}))


def test_a_primary_whose_heir_does_not_come_in_a_pause_leads_again() -> None:
    decision = decide(handed_over())
    take, start = decision.steps
    assert isinstance(take, AcquireLease)
    assert isinstance(start, StartServer)
    assert (decision.rule, start.role) == ("return_in_pause", Role.PRIMARY)
    assert [(put.name, put.value, put.expected) for put in take.puts] == [("failover", "{}", 9)]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"node": w.stopped(fence=FenceState(reachable=False))}, "its guard does not answer"),
        ({"memory_fault": "the disk is full"}, "the disk is full"),
    ],
)
def test_what_stands_against_the_return_for_a_time_does_not_make_it_forgotten(fields: dict[str, Any], why: str) -> None:
    decision = decide(handed_over(**fields))
    assert (decision.rule, decision.steps) == ("return_in_pause", ())
    assert decision.reason.endswith(f"the primary is not started: {why}")


def test_in_a_pause_the_heir_comes_first_and_whoever_has_led_since_ends_the_matter() -> None:
    early = w.sightings(demoting="c", demoting_since=w.NOW - 60, leaderless_since=w.NOW - 34)
    assert (decide(handed_over(sightings=early)).rule, decide(handed_over(sightings=early)).steps) == ("return_in_pause", ())
    led_since = handed_over(cluster=w.cluster(None, own=w.own(holder="c", token=2)), memory=w.memory(token=2, held_token=1))
    assert [step.role for step in decide(led_since).steps if isinstance(step, StartServer)] == [Role.STANDBY]
    led_since_and_failed = replace(led_since, outcomes=(w.outcome(JobKind.START, error="port taken"),))
    assert decide(replace(led_since_and_failed, node=w.stopped(last_start_failed="port taken"))).steps == ()
    assert decide(handed_over(peers=(w.peer("c", role=Role.PRIMARY),))).steps == (RememberDemotion(candidate=None),)
    assert decide(handed_over(node=w.primary(), peers=())).rule == "primary_takes_lock_in_pause"
