from collections.abc import Mapping
from dataclasses import replace

import pytest

from hacore.control.answers import answerer
from hacore.control.context import Context
from hacore.control.node import version_number
from hacore.control.wire import Reply
from hacore.model.commands import ReinitializeCommand, ReloadCommand, RestartCommand
from hacore.model.jobs import JobKind, JobState
from hacore.model.node import NodeState, Role, ServerState
from hacore.model.policy import Policy
from hacore.model.world import Decision
from tests.unit.control.samples import NODE, scene

LATER = "2030-01-01T13:00:00+00:00"
STANDBY = replace(NODE, role=Role.STANDBY)


def ask(context: Context, op: str, body: Mapping[str, object] | None = None) -> Reply:
    return answerer(context)({"op": op, "body": body})


@pytest.mark.parametrize(
    ("text", "number"), [("9.6.24", 90624), ("9.5", 90500), ("10", 100000), ("16.2", 160002), ("16", 160000), ("18.0", 180000)]
)
def test_a_version_is_read_as_postgresql_counts_it(text: str, number: int) -> None:
    assert version_number(text) == number


@pytest.mark.parametrize("text", ["", "x", "9", "16.2.1", "9.6.24.1", "16.", ".5", "-1", "16.200", "٣"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no server version"):
        version_number(text)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"restart": True}, 400),
        ({"role": "master"}, 400),
        ({"role": 1}, 400),
        ({"postgres_version": "x"}, 400),
        ({"postgres_version": [15]}, 400),
        ({"timeout": 0}, 400),
        ({"timeout": -5}, 400),
        ({"timeout": "soon"}, 400),
        ({"timeout": True}, 400),
        ({"schedule": "2030-01-01T13:00:00"}, 400),
        ({"schedule": "nonsense"}, 422),
        ({"schedule": "2029-01-01T13:00:00+00:00"}, 422),
    ],
)
def test_a_restart_that_cannot_be_understood_is_refused(body: dict[str, object], status: int) -> None:
    context, loop, _ = scene()
    assert ask(context, "restart", body).status == status
    assert loop.submitted == []


@pytest.mark.parametrize(
    ("node", "body", "satisfied"),
    [
        (NODE, {"role": "primary"}, True),
        (NODE, {"role": "replica"}, False),
        (STANDBY, {"role": "replica"}, True),
        (NODE, {"role": "standby_leader"}, False),
        (NODE, {"postgres_version": "15.4"}, False),
        (NODE, {"postgres_version": "15.5"}, True),
        (NODE, {"restart_pending": True}, False),
        (replace(NODE, pending_restart=(("x", "1", "2"),)), {"restart_pending": True}, True),
        (replace(NODE, server_version=None), {"postgres_version": "15.5"}, False),
    ],
)
def test_a_restart_waits_for_nothing_when_its_conditions_are_not_met(node: NodeState, body: dict[str, object], satisfied: bool) -> None:
    context, loop, _ = scene(node=node)
    loop.answer_all = (True, "")
    wanted = Reply(status=200, text="restarted successfully")
    assert ask(context, "restart", body) == (wanted if satisfied else Reply(status=503, text="restart conditions are not satisfied"))


def test_a_restart_says_how_it_ended() -> None:
    context, loop, _ = scene()
    loop.answer_all = (False, "")
    assert ask(context, "restart", {"timeout": "2min"}) == Reply(status=503, text="restart failed")
    command = loop.submitted[0]
    assert isinstance(command, RestartCommand)
    assert command.timeout_s == 120
    loop.answer_all = (False, "the server did not come up")
    assert ask(context, "restart").text == "the server did not come up"


def test_a_restart_that_nobody_answers_is_taken_back() -> None:
    context, loop, _ = scene()
    assert ask(context, "restart") == Reply(status=503, text="restart status unknown")
    assert loop.cancelled
    assert loop.submitted == []


def test_no_restart_while_other_work_is_in_flight() -> None:
    context, loop, _ = scene()
    loop.world = replace(loop.world, job=JobState(kind=JobKind.CREATE_REPLICA, started_at=0.0))
    assert ask(context, "restart") == Reply(status=503, text="create replica already in progress")
    loop.world = replace(loop.world, job=None, node=replace(NODE, server=ServerState.STARTING))
    assert ask(context, "restart") == Reply(status=503, text="postgres is still starting")


def test_a_restart_can_be_scheduled_once_and_taken_back() -> None:
    context, loop, _ = scene()
    assert ask(context, "restart", {"schedule": LATER, "role": "primary"}) == Reply(status=202, text="Restart scheduled")
    command = loop.submitted[0]
    assert isinstance(command, RestartCommand)
    assert command.postmaster_start_time == NODE.postmaster_start_time
    assert ask(context, "restart", {"schedule": LATER}) == Reply(status=409, text="Another restart is already scheduled")
    assert ask(context, "restart_cancel") == Reply(status=200, text="scheduled restart deleted")
    loop.turn()
    assert ask(context, "restart_cancel") == Reply(status=404, text="no restarts are scheduled")


def test_no_restart_is_scheduled_in_pause() -> None:
    context, _, _ = scene(policy=Policy(pause=True))
    assert ask(context, "restart", {"schedule": LATER}) == Reply(status=500, text="Can't schedule restart in the paused state")


def test_a_reload_is_scheduled_for_the_next_turn() -> None:
    context, loop, _ = scene()
    assert ask(context, "reload") == Reply(status=202, text="reload scheduled")
    assert isinstance(loop.submitted[0], ReloadCommand)


def test_the_leader_and_a_cluster_without_one_are_not_created_again() -> None:
    context, loop, _ = scene()
    assert ask(context, "reinitialize") == Reply(status=503, text="I am the leader, can not reinitialize")
    context, loop, _ = scene(name="b")
    loop.dcs.lock = None
    loop.turn()
    assert ask(context, "reinitialize") == Reply(status=503, text="Cluster has no leader, can not reinitialize")


def test_a_replica_is_created_again_and_other_work_only_by_force_given_up() -> None:
    context, loop, _ = scene(name="b")
    loop.answer_all = (True, "reinitialize started")
    assert ask(context, "reinitialize", {"from_leader": True}) == Reply(status=200, text="reinitialize started")
    assert loop.submitted == [ReinitializeCommand(id="id0", received_at=100.0, from_leader=True)]
    loop.world = replace(loop.world, job=JobState(kind=JobKind.CREATE_REPLICA, started_at=0.0))
    assert ask(context, "reinitialize") == Reply(status=503, text="create replica already in progress")
    assert ask(context, "reinitialize", {"force": True}).status == 200
    assert ask(context, "reinitialize", {"force": "yes"}).status == 400


def test_a_reinitialize_that_waits_is_not_said_to_have_started_and_one_that_is_refused_says_why() -> None:
    context, loop, _ = scene(name="b")
    loop.decision = Decision(table="asked", rule="reinitialize_requested", reason="waits until a is primary")
    assert ask(context, "reinitialize") == Reply(status=202, text="reinitialize waits: waits until a is primary")
    assert (len(loop.submitted), loop.cancelled) == (1, [])
    loop.answer_all = (False, "reinitialize failed: a does not answer")
    assert ask(context, "reinitialize") == Reply(status=503, text="reinitialize failed: a does not answer")


def test_before_the_first_turn_there_is_nothing_to_command() -> None:
    context, loop, _ = scene()
    loop.has_turned = False
    assert ask(context, "restart").status == 503
    assert ask(context, "explain").status == 503
