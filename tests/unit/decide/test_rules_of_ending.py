"""What an agent leaves behind that was asked to end, and when the lock may be given back as clean."""

from dataclasses import replace
from typing import Any

import pytest

from hacore.decide import decide
from hacore.model.commands import ShutdownCommand
from hacore.model.jobs import JobKind, JobState
from hacore.model.lsn import Lsn
from hacore.model.node import FenceState, ServerState
from hacore.model.policy import Tags
from hacore.model.steps import CancelJob, Disarm, Exit, ReleaseLease, StartServer, WriteOwn
from hacore.model.world import World

from . import worlds as w

SHUTDOWN = ShutdownCommand(id="end", received_at=w.NOW)
ARMED = FenceState(armed=True, token=1)
DOWN = w.stopped(fence=ARMED)
STARTS = w.job(JobKind.START, enables_writes=True)
RESTARTS = w.job(JobKind.RESTART, enables_writes=True)
HEIR = (w.peer("c", lsn=Lsn(w.POSITION + 120)),)  # it has the shutdown checkpoint


def releases(world: World) -> bool:
    """Tell whether the lock is given back with a clean mark."""
    return any(isinstance(step, ReleaseLease) and step.clean for step in decide(world).steps)


@pytest.mark.parametrize("job", [STARTS, RESTARTS, w.job(JobKind.BOOTSTRAP, enables_writes=True)], ids=lambda job: job.kind)
def test_an_agent_that_ends_does_not_give_the_lock_back_before_a_start_of_the_primary_has_ended(job: JobState) -> None:
    ending = w.leading(node=DOWN, commands=(SHUTDOWN,), job=job)
    decision = decide(ending)
    assert (decision.rule, [type(step) for step in decision.steps]) == ("cancel_work_at_end", [CancelJob])
    assert not releases(replace(ending, job=replace(job, cancelled=True)))
    assert releases(replace(ending, job=None))


@pytest.mark.parametrize("server", [ServerState.STOPPED, ServerState.STOPPING])
def test_a_switchover_does_not_give_the_lock_back_in_the_middle_of_a_restart(server: ServerState) -> None:
    demoting = w.sightings(demoting="c", demoting_since=w.NOW - 1)
    down: Any = replace(DOWN, server=server)
    handing_over = w.leading(node=down, sightings=demoting, peers=HEIR, peers_asked=True)
    assert releases(handing_over)
    assert releases(replace(handing_over, job=w.job(JobKind.STOP)))
    assert decide(replace(handing_over, job=RESTARTS)).rule == "hand_over_in_flight"


@pytest.mark.parametrize(("server", "clean"), [(ServerState.STOPPED, True), (ServerState.UNREACHABLE, False)])
def test_a_node_of_another_cluster_gives_the_lock_back_as_clean_only_where_it_cannot_write(server: ServerState, clean: bool) -> None:
    foreign, stranger = w.cluster("a", initialize="7999999999999999999"), w.memory(system_id=None)
    assert releases(w.leading(node=replace(DOWN, server=server), cluster=foreign, memory=stranger)) is clean


FAILED = w.outcome(JobKind.START, error="port taken")
LEAVING = w.paused(w.leading(commands=(SHUTDOWN,)))


def leaves(world: World) -> list[type]:
    """Tell what is done before the agent goes in a pause."""
    decision = decide(world)
    assert decision.rule == "leave_in_pause"
    return [type(step) for step in decision.steps]


def test_an_agent_that_leaves_in_pause_first_notes_that_nobody_fences_its_primary_and_disarms_the_guard() -> None:
    assert leaves(LEAVING) == [WriteOwn]
    assert leaves(replace(LEAVING, noted_unfenced=True)) == [Disarm]
    assert leaves(replace(LEAVING, node=w.primary(fence=FenceState(coverage="none")))) == [Exit]


def test_without_the_store_it_disarms_the_guard_where_the_note_stands_and_waits_for_it_where_not_until_its_lease_ends() -> None:
    alone = replace(LEAVING, cluster=None)
    assert leaves(replace(alone, noted_unfenced=True)) == [Disarm]
    assert leaves(alone) == []
    assert leaves(replace(alone, lease=None)) == [Exit]


@pytest.mark.parametrize("server", [ServerState.UNREACHABLE, ServerState.STARTING])
def test_it_disarms_the_guard_also_where_the_server_is_no_primary_just_now(server: ServerState) -> None:
    assert leaves(replace(LEAVING, node=w.primary(server=server, role=None), noted_unfenced=True)) == [Disarm]
    assert leaves(replace(LEAVING, node=w.standby(fence=ARMED))) == [Disarm]


@pytest.mark.parametrize("job", [STARTS, RESTARTS, w.job(JobKind.RESTART), w.job(JobKind.START)], ids=lambda job: f"{job.kind}")
def test_a_start_in_flight_comes_to_its_end_before_the_agent_leaves_in_pause(job: JobState) -> None:
    for world in (LEAVING, replace(LEAVING, node=DOWN), replace(LEAVING, cluster=None)):
        decision = decide(replace(world, job=job))
        assert (decision.table, decision.steps) in (("paused", ()), ("unsure", ()))
    assert leaves(replace(LEAVING, node=w.primary(fence=FenceState()), job=w.job(JobKind.CHECKPOINT))) == [Exit]


def test_a_hand_over_comes_to_its_end_before_the_agent_leaves_in_pause_and_the_server_starts_again() -> None:
    demoting = w.sightings(demoting="c", demoting_since=w.NOW - 9, leaderless_since=w.NOW - 1)
    for server in (ServerState.STOPPING, ServerState.STOPPED):
        assert decide(replace(LEAVING, node=replace(DOWN, server=server), sightings=demoting)).table == "handing_over"
    assert decide(replace(LEAVING, sightings=demoting, job=w.job(JobKind.STOP))).table == "handing_over"
    free = w.paused(w.leaderless(node=w.stopped(), sightings=demoting, commands=(SHUTDOWN,)))
    assert decide(free).table == "paused"
    led = replace(free, cluster=w.cluster("c"), sightings=replace(demoting, leaderless_since=None))
    assert decide(led).rule == "standby_in_pause"
    for world in (replace(led, node=w.standby()), replace(led, cluster=None), replace(led, outcomes=(FAILED,))):
        assert leaves(world) == [Exit]
    assert leaves(replace(LEAVING, node=DOWN, sightings=demoting, outcomes=(FAILED,))) == [Disarm]


def test_an_agent_leaves_in_pause_where_its_heir_does_not_come_and_it_may_not_lead_again_itself() -> None:
    """It would wait until a person frees the disk or takes the tag away."""
    late = w.sightings(demoting="c", demoting_since=w.NOW - 60, leaderless_since=w.NOW - 36)
    free = w.leaderless(
        node=w.stopped(),
        cluster=w.cluster(None, own=w.own(holder="a", clean="7")),
        memory=w.memory(held_token=1, held_instance="7"),
        sightings=late,
        peers=(w.peer("b"), w.peer("c", reachable=False)),
        commands=(SHUTDOWN,),
    )
    full = w.paused(replace(free, memory_fault="the disk is full"))
    for world in (full, w.paused(replace(free, me=replace(free.me, tags=Tags(nofailover=True))))):
        assert leaves(world) == [Exit]
    early = replace(late, leaderless_since=w.NOW - 34)
    led_since = replace(full, cluster=w.cluster(None, own=w.own(holder="c", token=2)), memory=w.memory(token=2, held_token=1))
    starts = (w.paused(free), led_since, replace(full, cluster=w.cluster("c")))
    assert (decide(replace(full, sightings=early)).rule, decide(replace(full, sightings=early)).steps) == ("return_in_pause", ())
    for world in starts:
        assert StartServer in [type(step) for step in decide(world).steps]


def test_a_standby_that_was_created_again_in_pause_starts_before_the_agent_leaves() -> None:
    copied = w.outcome(JobKind.CREATE_REPLICA, ago_s=2.0, command="reinit")
    led = w.paused(w.world(node=w.stopped("in production"), outcomes=(copied,), commands=(SHUTDOWN,)))
    assert decide(led).rule == "standby_in_pause"
    kept = w.stopped(directory=w.directory(control=w.control(), has_standby_signal=True))
    refused = replace(led, node=kept, outcomes=(replace(copied, error="not let in"),))
    assert decide(refused).rule == "standby_in_pause"
    nobody = replace(led, cluster=w.cluster(None))
    for world in (replace(led, outcomes=(copied, FAILED)), replace(led, cluster=None), nobody, replace(led, node=w.standby())):
        assert leaves(world) == [Exit]


@pytest.mark.parametrize("job", [None, w.job(JobKind.CHECKPOINT), w.job(JobKind.DRAIN)])
def test_a_hand_over_that_has_not_stopped_the_server_does_not_hold_up_the_agent_in_pause(job: JobState | None) -> None:
    """Nor does one that cannot, because the server is frozen: nothing would ever end it."""
    demoting = w.sightings(demoting="c", demoting_since=w.NOW - 9)
    for node in (w.primary(), w.primary(server=ServerState.UNREACHABLE, role=None)):
        assert leaves(replace(LEAVING, node=node, sightings=demoting, job=job, noted_unfenced=True)) == [Disarm]


@pytest.mark.parametrize("kind", [JobKind.RESTORE, JobKind.BOOTSTRAP, JobKind.CREATE_REPLICA])
def test_work_that_may_take_hours_does_not_hold_up_the_agent_in_pause(kind: JobKind) -> None:
    assert leaves(replace(LEAVING, node=w.stopped(), job=w.job(kind, enables_writes=kind is not JobKind.CREATE_REPLICA))) == [Exit]
    if kind is not JobKind.CREATE_REPLICA:
        assert leaves(replace(LEAVING, node=DOWN, job=w.job(kind, enables_writes=True))) == [WriteOwn]
    promoting = replace(LEAVING, node=w.standby(), job=w.job(JobKind.PROMOTE, enables_writes=True))
    assert decide(promoting).table == "paused"
