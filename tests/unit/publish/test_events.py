"""What is told after a turn, by comparing it with the one before (interface reference 8.4)."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from hacore.model.cluster import ClusterView, FailoverRequest
from hacore.model.events import EventKind
from hacore.model.jobs import JobKind, JobState, Outcome
from hacore.model.lease import Lease, Lock
from hacore.model.lsn import Lsn
from hacore.model.memory import Memory, Sightings
from hacore.model.node import ControlData, DataDirectory, DirectoryState, FenceState, NodeState, Role, ServerState
from hacore.model.policy import Policy, Times
from hacore.model.steps import EndServer, ReloadServer, Step
from hacore.model.world import Decision, Me, World
from hacore.publish.events import Happening, Told, narrate
from hacore.publish.handover import Progress, follow

ME = Me(name="a", scope="c", conn_url="postgres://h/p", api_url="http://h/patroni")


def lock(holder: str) -> Lock:
    return Lock(holder=holder, instance=f"i-{holder}")


def lease(sent_at: float = 10.0) -> Lease:
    return Lease(lock=lock("a"), token=7, sent_at=sent_at, ttl_s=30, margin_s=3, budget_s=2)


def directory(state: str = "in production") -> DataDirectory:
    control = ControlData(system_id="1", state=state, timeline=1, checkpoint_lsn=Lsn(1), redo_lsn=Lsn(1))
    return DataDirectory(state=DirectoryState.INITIALIZED, control=control)


def running(role: Role = Role.PRIMARY, **more: object) -> NodeState:
    return NodeState(read_at=11.0, server=ServerState.RUNNING, directory=directory(), role=role, **cast("Any", more))


def stopped(state: str = "shut down", **more: object) -> NodeState:
    return NodeState(read_at=11.0, server=ServerState.STOPPED, directory=directory(state), **cast("Any", more))


def view(holder: str | None = "a", **more: object) -> ClusterView:
    return ClusterView(sent_at=10.0, lock=lock(holder) if holder else None, **cast("Any", more))


def done(kind: JobKind, ended_at: float = 10.5, error: str | None = None) -> Outcome:
    return Outcome(kind=kind, ended_at=ended_at, took_s=0.25, error=error)


def world(node: NodeState | None = None, **more: object) -> World:
    fields: dict[str, Any] = {
        "now": 11.0,
        "wall": datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC),
        "me": ME,
        "policy": Policy(),
        "times": Times(),
        "cluster": view(),
        "node": node or running(),
        "lease": lease(),
        "memory": Memory(),
        "sightings": Sightings(started_at=0.0),
        **more,
    }
    return World(**fields)


def decision(*steps: Step) -> Decision:
    return Decision(table="leading", rule="keep_leading", reason="", steps=steps)


def told_after(*worlds: World | tuple[World, Decision]) -> list[tuple[str, str]]:
    """Kind and role of what is told after the last world, having seen the others before."""
    told = Told()
    happenings: tuple[Happening, ...] = ()
    for one in worlds:
        seen, decided = one if isinstance(one, tuple) else (one, decision())
        told, happenings = narrate(told, seen, decided)
    return [(happening.kind.value, happening.role) for happening in happenings]


def test_a_server_that_runs_already_is_told_once_as_started() -> None:
    assert told_after(world()) == [("started", "primary")]
    assert told_after(world(), world()) == []


def test_a_start_is_told_when_the_server_is_seen() -> None:
    before = world(stopped("shut down in recovery"), lease=None)
    up = world(running(Role.STANDBY), lease=None, outcomes=(done(JobKind.START),))
    assert told_after(before, up) == [("started", "replica")]
    assert told_after(before, up, up) == []


def test_a_start_that_is_not_seen_yet_is_told_when_it_is() -> None:
    before = world(stopped("shut down in recovery"), lease=None)
    hidden = world(replace(running(), server=ServerState.UNREACHABLE, role=None), lease=None, outcomes=(done(JobKind.START),))
    up = world(running(Role.STANDBY), lease=None, outcomes=(done(JobKind.START),))
    assert told_after(before, hidden) == []
    assert told_after(before, hidden, up) == [("started", "replica")]


def test_nothing_is_told_of_a_server_while_its_job_is_in_flight() -> None:
    job = JobState(kind=JobKind.BOOTSTRAP, started_at=1.0)
    empty = replace(stopped(), directory=DataDirectory(state=DirectoryState.EMPTY))
    assert told_after(world(empty), world(job=job)) == []


def test_a_bootstrap_is_told_when_it_has_ended_and_the_start_with_it() -> None:
    empty = replace(stopped(), directory=DataDirectory(state=DirectoryState.EMPTY))
    after = world(outcomes=(done(JobKind.BOOTSTRAP),))
    assert told_after(world(empty, lease=None), after) == [("bootstrapped", "primary"), ("started", "primary")]


def test_a_restart_is_neither_a_stop_nor_a_start() -> None:
    restarting = world(stopped(), job=JobState(kind=JobKind.RESTART, started_at=1.0))
    assert told_after(world(), restarting) == []
    assert told_after(world(), restarting, world(outcomes=(done(JobKind.RESTART),))) == [("restarted", "primary")]


def test_a_promotion_is_a_change_of_role_alone() -> None:
    before = world(running(Role.STANDBY))
    assert told_after(before, world(outcomes=(done(JobKind.PROMOTE),))) == [("role_changed", "primary")]


def test_a_former_primary_that_starts_as_a_standby_is_a_change_of_role_alone() -> None:
    stop = world(stopped(), outcomes=(done(JobKind.STOP),))
    start = world(running(Role.STANDBY), lease=None, cluster=view("b"), outcomes=(done(JobKind.STOP), done(JobKind.START, 10.9)))
    assert told_after(world(), stop) == [("stopped", "primary")]
    assert told_after(world(), stop, start) == [("role_changed", "replica"), ("leader_changed", "replica")]


def test_a_former_primary_found_stopped_has_been_demoted_before() -> None:
    start = world(running(Role.STANDBY), lease=None, outcomes=(done(JobKind.START),))
    assert told_after(world(stopped(), lease=None), start) == [("role_changed", "replica")]


def test_a_stop_after_the_lock_was_given_back_is_that_of_a_demoted_server() -> None:
    stopping = JobState(kind=JobKind.STOP, started_at=1.0)
    gone = world(stopped(), lease=None, outcomes=(done(JobKind.STOP),))
    assert told_after(world(), world(stopped(), lease=None, job=stopping), gone) == [("stopped", "demoted")]


def test_a_server_that_ends_by_itself_has_crashed() -> None:
    assert told_after(world(), world(stopped("in production"))) == [("crashed", "primary")]
    assert told_after(world(), world(replace(stopped(), server=ServerState.ORPHANED))) == [("crashed", "primary")]


def test_a_server_that_the_agent_has_ended_was_stopped() -> None:
    assert told_after(world(), (world(), decision(EndServer(reason="x"))), world(stopped("in production"))) == [("stopped", "primary")]


def test_a_fence_is_told_with_the_stop_that_it_means() -> None:
    fired = world(stopped("in production", fence=FenceState(fired=True, token=7)), lease=None)
    assert told_after(world(), fired) == [("stopped", "primary"), ("fenced", "demoted")]
    assert told_after(world(), fired, fired) == []


def test_a_reload_is_told_after_its_step() -> None:
    assert told_after(world(), (world(), decision(ReloadServer()))) == [("reloaded", "primary")]


def test_a_start_that_fails_and_costs_the_lock_makes_the_server_demoted() -> None:
    failed = world(stopped(), lease=None, outcomes=(done(JobKind.START, error="no space"),))
    assert told_after(world(), world(stopped()), failed) == [("job_failed", "demoted"), ("role_changed", "demoted")]


def test_a_new_leader_is_told_also_after_a_time_without_one() -> None:
    standby = running(Role.STANDBY)
    worlds = [world(standby, lease=None, cluster=view(holder)) for holder in ("b", None, "b", None, "c")]
    assert told_after(*worlds[:3]) == []
    assert told_after(*worlds) == [("leader_changed", "replica")]


def test_the_store_is_lost_and_found_once() -> None:
    blind = world(cluster=None, cluster_error="no answer")
    assert told_after(world(), blind) == [("dcs_lost", "primary")]
    assert told_after(world(), blind, blind) == []
    assert told_after(world(), blind, world()) == [("dcs_back", "primary")]


def test_changes_of_the_dynamic_configuration_and_pause_are_told() -> None:
    paused = world(policy=Policy(pause=True), cluster=view(config='{"pause":true}'))
    assert told_after(world(cluster=view(config="{}")), paused) == [("config_changed", "primary"), ("paused", "primary")]
    assert told_after(paused, paused) == []
    assert told_after(paused, world(cluster=view(config="{}"))) == [("config_changed", "primary"), ("resumed", "primary")]


def test_only_a_server_that_ran_before_the_agent_is_adopted() -> None:
    empty = replace(stopped(), directory=DataDirectory(state=DirectoryState.EMPTY))
    told, _ = narrate(Told(), world(empty, lease=None), decision())
    _, (_, started) = narrate(told, world(outcomes=(done(JobKind.BOOTSTRAP),)), decision())
    assert started.data == ()
    _, (adopted,) = narrate(Told(), world(), decision())
    assert dict(adopted.data) == {"adopted": True}


def test_a_rewind_is_told() -> None:
    down = world(stopped(), lease=None)
    assert told_after(down, replace(down, outcomes=(done(JobKind.REWIND),))) == [("rewound", "demoted")]


def test_a_replica_that_was_created_is_told_with_its_time() -> None:
    empty = replace(stopped(), directory=DataDirectory(state=DirectoryState.EMPTY))
    told, _ = narrate(Told(), world(empty, lease=None), decision())
    _, (happening,) = narrate(told, world(stopped(), lease=None, outcomes=(done(JobKind.CREATE_REPLICA),)), decision())
    assert (happening.kind, dict(happening.data)) == (EventKind.REPLICA_CREATED, {"took_ms": 250})


def test_what_had_ended_before_the_agent_was_watched_is_not_news() -> None:
    assert told_after(world(outcomes=(done(JobKind.PROMOTE), done(JobKind.START, error="x")))) == [("started", "primary")]


# --- how long each step took ------------------------------------------------------------------------------------------


def steps(*turns: tuple[World, float], released_at: float | None = None) -> list[tuple[str, dict[str, Any]]]:
    progress, found = Progress(), []
    for seen, now in turns:
        progress, happening = follow(progress, seen, released_at=released_at, now=now)
        if happening is not None:
            found.append((happening.kind.value, {key: value for key, value in happening.data if key != "began"}))
    return found


def leaderless(**more: object) -> World:
    cluster = view(None, **more)
    return world(running(Role.STANDBY), lease=None, cluster=cluster, sightings=Sightings(started_at=0.0, leaderless_since=9.5))


def led_by_b() -> World:
    return world(running(Role.STANDBY), lease=None, cluster=view("b"))


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (None, "failover"),
        (FailoverRequest(candidate="a", version=1), "failover"),
        (FailoverRequest(leader="b", candidate="a", version=1), "switchover"),
    ],
)
def test_the_one_that_takes_over_tells_how_long_each_step_took(request_: FailoverRequest | None, kind: str) -> None:
    acquired = world(running(Role.STANDBY), cluster=view(None, failover=request_))
    promoted = world(replace(running(), read_at=10.8), outcomes=(done(JobKind.PROMOTE, 10.7),))
    assert steps((led_by_b(), 9.0), (leaderless(failover=request_), 9.6), (acquired, 10.1), (promoted, 10.9), (promoted, 12.0)) == [
        (kind, {"previous": "b", "acquired_ms": 500, "promoted_ms": 700, "writable_ms": 100, "published_ms": 100, "total_ms": 1400})
    ]


def test_the_first_leader_of_a_cluster_takes_over_from_nobody() -> None:
    assert steps((leaderless(), 9.0), (world(), 11.0), (world(), 12.0)) == []


def test_an_agent_that_begins_with_the_lease_has_taken_over_from_nobody() -> None:
    assert steps((world(), 11.0), (world(), 12.0)) == []


def test_the_one_that_hands_over_tells_how_long_each_step_took() -> None:
    demoting = Sightings(started_at=0.0, demoting="b", demoting_since=10.0)
    checkpointed = world(sightings=demoting, outcomes=(done(JobKind.CHECKPOINT, 10.1),))
    gone = world(stopped(), lease=None, sightings=demoting, outcomes=(done(JobKind.CHECKPOINT, 10.1), done(JobKind.STOP, 10.4)))
    assert steps((world(), 9.0), (checkpointed, 10.2), (gone, 10.6), released_at=10.3) == [
        ("handed_over", {"candidate": "b", "checkpoint_ms": 100, "released_ms": 200, "stopped_ms": 100, "total_ms": 400})
    ]


@pytest.mark.parametrize(("error", "step"), [(None, "drained_ms"), ("no", "not_drained_ms")])
def test_the_one_that_hands_over_tells_how_long_work_was_waited_for(error: str | None, step: str) -> None:
    demoting = Sightings(started_at=0.0, demoting="b", demoting_since=10.0)
    ended = (done(JobKind.CHECKPOINT, 10.1), replace(done(JobKind.DRAIN, 10.25), error=error), done(JobKind.STOP, 10.4))
    gone = world(stopped(), lease=None, sightings=demoting, outcomes=ended)
    ((_, told),) = steps((world(), 9.0), (world(sightings=demoting), 10.0), (gone, 10.6), released_at=10.5)
    assert told == {"candidate": "b", "checkpoint_ms": 100, step: 150, "stopped_ms": 150, "released_ms": 100, "total_ms": 500}


def test_a_switchover_that_was_called_off_is_not_told() -> None:
    demoting = Sightings(started_at=0.0, demoting="b", demoting_since=10.0)
    gone = world(stopped(), lease=None, outcomes=(done(JobKind.STOP, 30.0),))
    assert steps((world(), 9.0), (world(sightings=demoting), 10.2), (world(), 20.0), (gone, 31.0)) == []
