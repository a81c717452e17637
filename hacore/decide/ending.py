"""Rules for an agent that was asked to end: hand over at once, stop PostgreSQL, go. In pause leave both as they are."""

from dataclasses import replace
from typing import Final

from hacore.decide.election import electable, received, record_of
from hacore.decide.table import Table
from hacore.decide.views import Ending, ending
from hacore.model.jobs import JobKind
from hacore.model.lsn import Lsn
from hacore.model.node import PeerState, ServerState
from hacore.model.steps import AnswerCommand, CancelJob, Disarm, Exit, ReleaseLease, StopMode, StopServer, WriteOwn
from hacore.model.world import Answer, World

DONE, LEFT_RUNNING = 0, 75  # the latter tells main that guard and PostgreSQL stay
_ASK_AGAIN_S = 0.02


def leave_in_pause(seen: Ending) -> Answer | None:
    """In maintenance PostgreSQL and the lock are left as they are (interface reference 10.1), the guard disarmed: nobody will renew."""
    world = seen.world
    if not world.policy.pause:
        return None
    if world.lease is None or not world.node.fence.armed:
        return Answer(reason="ends in pause: PostgreSQL runs on", steps=(Exit(code=LEFT_RUNNING, reason="pause", leave_server=True),))
    if world.noted_unfenced or (world.node.cannot_write and not world.may_begin_to_write):
        return Answer(reason="disarms the guard", steps=(Disarm(reason="pause"),), wake_after_s=0)
    own = world.cluster.own if world.cluster is not None else None
    if own is None:
        return Answer(reason="waits for the store, which must know before that this node will not be fenced", wake_after_s=1)
    noted = replace(own, unfenced=world.me.name, heartbeat=own.heartbeat + 1)
    return Answer(reason="notes that this node will not be fenced", steps=(WriteOwn(own=noted),), wake_after_s=0)


def hand_over_at_end(seen: Ending) -> Answer | None:
    """Give the lock back once a candidate has the shutdown checkpoint, or none can get it: archiving may still go on (safety.md 4)."""
    world = seen.world
    if world.lease is None or not writes_have_ended(world):
        return None
    control = world.node.directory.control
    optime = control.checkpoint_lsn if control and control.is_clean_primary_shutdown else None
    if world.node.server is not ServerState.STOPPED and optime is not None and _is_still_sent(world, optime):
        return None
    return Answer(reason="writes have ended", steps=(ReleaseLease(clean=True, optime=optime),), wake_after_s=0)


def waiting_for_candidate_at_end(seen: Ending) -> Answer | None:
    """The candidates are asked again while PostgreSQL sends them the rest; its stop has a limit, and with it this."""
    job = seen.world.job
    if seen.world.lease is None or job is None or job.kind is not JobKind.STOP or not writes_have_ended(seen.world):
        return None
    return Answer(reason="waits until a candidate has the shutdown checkpoint", wake_after_s=_ASK_AGAIN_S)


def cancel_work_at_end(seen: Ending) -> Answer | None:
    """Work in flight other than the stop itself is cancelled."""
    job = seen.world.job
    if job is None:
        return None
    if job.kind is JobKind.STOP or job.cancelled:
        return Answer(reason=f"waits for the {job.kind} job", wake_after_s=1)
    return Answer(reason="the agent ends", steps=(CancelJob(kind=job.kind, reason="the agent ends"),), wake_after_s=0.2)


def stop_at_end(seen: Ending) -> Answer | None:
    """Stop PostgreSQL fast; without a checkpoint before it where it is a standby."""
    node = seen.world.node
    if node.server is ServerState.STOPPED:
        return None
    return Answer(
        reason="the agent ends", steps=(StopServer(mode=StopMode.FAST, reason="the agent ends", checkpoint_first=node.is_primary),)
    )


def end(seen: Ending) -> Answer | None:
    """Nothing is left to do."""
    return Answer(
        reason="PostgreSQL is stopped",
        steps=(AnswerCommand(id=seen.command.id, done=True, text="stopped"), Exit(code=DONE, reason="asked to end")),
    )


def writes_have_ended(world: World) -> bool:
    """Tell whether no process of this node can acknowledge a commit any more (safety.md 4).

    ``shut down`` in the control file is written after the last session has gone; only the archiver may still live.
    """
    node = world.node
    if world.may_begin_to_write:
        return False
    if node.server is ServerState.STOPPED:
        return True
    control = node.directory.control
    return node.server is ServerState.STOPPING and control is not None and control.is_clean_primary_shutdown


def _is_still_sent(world: World, checkpoint: Lsn) -> bool:
    """Tell whether a candidate that streams may still get all: a server that stops sends the rest after its shutdown checkpoint."""
    if not world.peers_asked:
        return True
    if received(world, checkpoint):
        return False
    is_silent = any(_streamed_before(world, peer) for peer in world.peers if not peer.reachable)
    return is_silent or any(peer.streams is not False for peer in electable(world.peers))


def _streamed_before(world: World, peer: PeerState) -> bool:
    """Tell whether a peer that has not answered is a candidate by its record, and streams: that of one that has gone ends with its ttl."""
    record = record_of(world, peer.name)
    return record is not None and record.is_running and record.tags.may_lead and record.replication_state == "streaming"


ENDING: Final = Table(
    name="ending",
    narrow=ending,
    rules=(leave_in_pause, hand_over_at_end, waiting_for_candidate_at_end, cancel_work_at_end, stop_at_end, end),
)
