import json
from dataclasses import replace
from datetime import timedelta

import pytest

from hacore.model.commands import ReinitializeCommand, RestartCommand
from hacore.model.jobs import JobKind, JobState, Outcome
from hacore.model.lease import Lease, Lock
from hacore.model.lsn import Lsn
from hacore.model.memory import Memory, Sightings
from hacore.model.node import ControlData, DataDirectory, DirectoryState, FenceState, NodeState, Role, ServerState
from hacore.model.policy import Policy
from hacore.model.world import World
from hacore.publish.picture import Picture, picture
from hacore.publish.words import STATES, role_word, state_word
from tests.unit.control.samples import DECISION, NODE, WALL, ScriptedDcs, scene


def made(world: World) -> Picture:
    return picture(world, DECISION)


def here(node: NodeState = NODE, **more: object) -> World:
    return replace(scene(node=node)[1].world, **more)  # type: ignore[arg-type]  # the names are those of World


def stopped(control_state: str | None, *, standby: bool = False, state: DirectoryState = DirectoryState.INITIALIZED) -> NodeState:
    control = None
    if control_state is not None:
        control = ControlData(system_id="1", state=control_state, timeline=1, checkpoint_lsn=Lsn(1), redo_lsn=Lsn(1))
    directory = DataDirectory(state=state, control=control, has_standby_signal=standby)
    return NodeState(read_at=1.0, server=ServerState.STOPPED, directory=directory)


LEASE = Lease(lock=Lock(holder="a", instance="1"), token=4, sent_at=100.0, ttl_s=30.0, margin_s=3.0, budget_s=2.0)
COPIED = Outcome(kind=JobKind.CREATE_REPLICA, ended_at=1.0, took_s=1.0)
RAN = Sightings(started_at=0.0, running_at=2.0)
FAILED_BOOTSTRAP = Outcome(kind=JobKind.BOOTSTRAP, ended_at=1.0, took_s=1.0, error="no")


@pytest.mark.parametrize(
    ("world", "state", "role"),
    [
        pytest.param(here(), "running", "primary", id="primary"),
        pytest.param(here(replace(NODE, role=Role.STANDBY)), "running", "replica", id="standby"),
        pytest.param(here(replace(NODE, server=ServerState.STARTING, role=None)), "starting", "replica", id="starts"),
        pytest.param(here(replace(NODE, server=ServerState.UNREACHABLE)), "running", "primary", id="does not answer"),
        pytest.param(here(replace(NODE, server=ServerState.ORPHANED)), "stopping", "primary", id="orphaned"),
        pytest.param(here(job=JobState(kind=JobKind.STOP, started_at=1.0)), "stopping", "primary", id="being stopped"),
        pytest.param(here(job=JobState(kind=JobKind.RESTART, started_at=1.0)), "restarting", "primary", id="being restarted"),
        pytest.param(here(job=JobState(kind=JobKind.CHECKPOINT, started_at=1.0)), "running", "primary", id="checkpoint"),
        pytest.param(
            here(stopped(None, state=DirectoryState.EMPTY), job=JobState(kind=JobKind.CREATE_REPLICA, started_at=1.0)),
            "creating replica",
            "uninitialized",
            id="being created",
        ),
        pytest.param(
            here(stopped(None, state=DirectoryState.EMPTY), job=JobState(kind=JobKind.BOOTSTRAP, started_at=1.0)),
            "initializing new cluster",
            "uninitialized",
            id="bootstrap",
        ),
        pytest.param(
            here(stopped(None, state=DirectoryState.EMPTY), outcomes=(FAILED_BOOTSTRAP,)), "initdb failed", "uninitialized", id="failed"
        ),
        pytest.param(here(stopped(None, state=DirectoryState.EMPTY)), "stopped", "uninitialized", id="empty"),
        pytest.param(here(stopped("shut down")), "stopped", "demoted", id="former primary"),
        pytest.param(here(stopped("in production")), "crashed", "demoted", id="crashed, lease gone"),
        pytest.param(here(stopped("in production"), outcomes=(COPIED,)), "stopped", "replica", id="copied, not started yet"),
        pytest.param(
            here(stopped("in production"), outcomes=(COPIED,), sightings=RAN), "crashed", "demoted", id="copied, and has led since"
        ),
        pytest.param(here(stopped("in production"), lease=LEASE), "crashed", "primary", id="crashed under the lease"),
        pytest.param(here(stopped("shut down in recovery", standby=True)), "stopped", "replica", id="stopped standby"),
        pytest.param(here(replace(stopped("shut down"), last_start_failed="no space")), "start failed", "demoted", id="start failed"),
    ],
)
def test_state_and_role_are_said_in_the_words_of_the_field(world: World, state: str, role: str) -> None:
    assert (state_word(world), role_word(world)) == (state, role)
    assert state in STATES


def test_a_server_that_did_not_answer_in_the_turn_does_not_run() -> None:
    assert made(here()).running
    assert not made(here(replace(NODE, server=ServerState.UNREACHABLE))).running
    assert not made(here(replace(NODE, role=None))).running


def test_the_store_in_the_picture() -> None:
    shown = made(here())
    assert (shown.has_view, shown.cluster_unlocked, shown.optime) == (True, False, 5000)
    assert shown.dcs_last_seen == int(WALL.timestamp())
    assert shown.member_hosts == ("a.example", "b.example", "c.example")
    lost = replace(here(), cluster=None, sightings=replace(here().sightings, store_lost_since=70.0))
    assert (made(lost).has_view, made(lost).cluster_unlocked) == (False, True)
    assert made(lost).dcs_last_seen == int((WALL - timedelta(seconds=30)).timestamp())


def test_the_next_turn_is_due_when_the_decision_or_the_loop_says() -> None:
    assert made(here()).next_run == 110.0
    assert picture(here(), replace(DECISION, wake_after_s=2.0)).next_run == 102.0
    assert picture(here(), replace(DECISION, wake_after_s=60.0)).next_run == 110.0


def test_what_a_person_asked_to_be_created_again_is_shown_until_it_is_done() -> None:
    command = ReinitializeCommand(id="i", received_at=1.0)
    job = JobState(kind=JobKind.CREATE_REPLICA, started_at=1.0, command="i")
    failed = replace(COPIED, command="i", error="no")
    assert made(here(commands=(command,), outcomes=(replace(failed, command="h"),))).reinitialize == ("i", None)
    assert made(here(job=job, outcomes=(replace(failed, command="h"),))).reinitialize == ("i", None)
    assert made(here(outcomes=(failed,))).reinitialize == ("i", "no")
    for none in (here(), here(outcomes=(replace(COPIED, command="i"),)), here(outcomes=(replace(failed, command=None),))):
        assert made(none).reinitialize is None


def test_that_it_was_created_again_is_shown_until_the_next_time() -> None:
    done = replace(COPIED, command="i")
    assert made(here(outcomes=(done,))).reinitialized == "i"
    for none in (here(), here(outcomes=(replace(done, error="no"),)), here(outcomes=(COPIED,))):
        assert made(none).reinitialized is None


def test_a_scheduled_restart_is_shown_with_what_it_waits_for() -> None:
    command = RestartCommand(
        id="x", received_at=1.0, schedule=WALL, role="replica", postgres_version=90624, timeout_s=5.0, restart_pending=True,
        postmaster_start_time="t",
    )  # fmt: skip
    assert json.loads(made(here(commands=(command,))).scheduled_restart or "") == {
        "schedule": "2030-01-01T12:00:00+00:00",
        "postmaster_start_time": "t",
        "role": "replica",
        "postgres_version": "9.6.24",
        "timeout": 5.0,
        "restart_pending": True,
    }
    assert made(here(commands=(replace(command, schedule=None),))).scheduled_restart is None


def test_fence_lease_and_rule_are_in_the_picture() -> None:
    fenced = replace(NODE, fence=FenceState(armed=True, coverage="partial", token=4))
    shown = made(here(fenced, lease=LEASE, policy=Policy(pause=True, unsupported=("x does not work yet",), refuses_election="because")))
    assert (shown.fence, shown.fence_armed, shown.token, shown.pause) == ("partial", True, 4, True)
    assert (shown.table, shown.rule, shown.reason) == ("leading", "keep_leading", "all is well")
    assert (shown.unsupported, shown.refuses_election) == (("x does not work yet",), "because")


def test_an_address_that_is_none_keeps_no_member_hidden() -> None:
    dcs = ScriptedDcs()
    dcs.join("a", api_url="http://[::1")
    dcs.join("b", api_url="http://[::1]:8008/patroni")
    context, loop, _ = scene()
    loop.dcs.members = dcs.members
    loop.turn()
    assert made(loop.world).member_hosts == ("::1",)
    assert context.latest()[0].memory == Memory()
