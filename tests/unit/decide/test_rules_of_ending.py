"""What an agent leaves behind that was asked to end, and when the lock may be given back as clean."""

from dataclasses import replace
from typing import Any

import pytest

from hacore.decide import decide
from hacore.model.commands import ShutdownCommand
from hacore.model.jobs import JobKind, JobState
from hacore.model.lsn import Lsn
from hacore.model.node import FenceState, ServerState
from hacore.model.steps import CancelJob, ReleaseLease
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
