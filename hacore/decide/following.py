"""Rules for a node while somebody else holds the lock: become and stay a standby of the leader."""

from typing import Final

from hacore.decide.election import store_went_back
from hacore.decide.ending import writes_have_ended
from hacore.decide.lineage import READ_S, divergence, local_end, recorded_history
from hacore.decide.table import Table
from hacore.decide.unleased import limited
from hacore.decide.upstreams import creation, slot_changes, wanted_upstream
from hacore.decide.views import Following, following
from hacore.model.cluster import RestoreState
from hacore.model.jobs import JobKind, Outcome
from hacore.model.node import Role, ServerState
from hacore.model.steps import (
    EndServer,
    Follow,
    RecoverFromCrash,
    ReleaseLease,
    ReloadServer,
    RestartServer,
    ResumeLease,
    Rewind,
    StartServer,
    StopMode,
    StopServer,
)
from hacore.model.world import Answer

_RETRY_S = 5.0


def resume_lease(seen: Following) -> Answer | None:
    """The lock is this node's own: the instance that it held before its agent was started again, or one whose answer was lost."""
    token, fence = _own_token(seen), seen.node.fence
    if token is None or (fence.fired and fence.token == token):
        return None
    return Answer(reason="this lock is this node's own", steps=(ResumeLease(lock=seen.lock, token=token),), wake_after_s=0)


def _own_token(seen: Following) -> int | None:
    """Return the token of the lock in this node's name that it has proof of: its disk, or a record of its own request.

    No proof is a lock that a restored store has brought back, after others have led: its records only restrict (safety.md 5).
    """
    memory, own = seen.world.memory, seen.cluster.own
    if seen.lock.holder != seen.name:
        return None
    if seen.lock.instance == memory.held_instance:
        return memory.held_token if _held_last(seen) else None
    attempted = seen.world.attempted_token
    return attempted if own is not None and own.holder == seen.name and own.token == attempted else None


def _held_last(seen: Following) -> bool:
    """Tell whether nobody has led, as far as this node has ever seen, after it did."""
    memory = seen.world.memory
    return memory.held_token == memory.token and not store_went_back(seen.world, seen.cluster)


def give_back_fenced_lock(seen: Following) -> Answer | None:
    """This node was fenced under the lock, or a restored store has brought it back: give it back, so that nobody waits for its end."""
    memory, node = seen.world.memory, seen.node
    if seen.lock.holder != seen.name or seen.lock.instance != memory.held_instance:
        return None
    is_standby = node.server is ServerState.RUNNING and node.role is Role.STANDBY and seen.world.job is None
    if not writes_have_ended(seen.world) and not is_standby:
        return None
    if not _held_last(seen):  # not clean: whoever led since may still be writing
        return Answer(reason="others have led since it was this node's", steps=(ReleaseLease(clean=False, lock=seen.lock),), wake_after_s=0)
    return Answer(reason="was fenced; writes have ended", steps=(ReleaseLease(clean=True, lock=seen.lock),), wake_after_s=0)


def lock_in_my_name(seen: Following) -> Answer | None:
    """The lock bears this node's name and is not its own: a name proves nothing, it ends by itself."""
    if seen.lock.holder != seen.name:
        return None
    answer = limited(seen.world, "a primary runs here under another agent's lock") if seen.node.is_primary else None
    return answer or Answer(reason="waits until the lock of an earlier agent has ended", wake_after_s=1)


def superseded_by_leader(seen: Following) -> Answer | None:
    """Somebody else holds the lock: writes here end at once."""
    if not seen.node.is_primary:
        return None
    reason = f"{seen.lock.holder} holds the lock"
    return Answer(reason=reason, steps=(EndServer(reason=reason),), wake_after_s=0.1)


def follow_while_starting(seen: Following) -> Answer | None:
    """A standby that is not consistent yet is pointed at the right member, too: it may wait for WAL of one that has gone."""
    if seen.world.job is not None or seen.node.server is not ServerState.STARTING or seen.node.upstream is None:
        return None
    return follow_upstream(seen)


def work_beside_following(seen: Following) -> Answer | None:
    """The work in flight goes on."""
    job = seen.world.job
    if job is not None:
        return Answer(reason=f"the {job.kind} job goes on")
    if seen.node.server in {ServerState.STOPPED, ServerState.RUNNING}:
        return None
    return Answer(reason=f"the server is {seen.node.server}", wake_after_s=0.5)


def recover_before_rewind(seen: Following) -> Answer | None:
    """A former primary that crashed is brought to a clean end of WAL first, if the cluster has gone on to another timeline."""
    control, history = seen.node.directory.control, recorded_history(seen.cluster)
    if seen.node.server is not ServerState.STOPPED or control is None or seen.node.directory.has_standby_signal:
        return None
    if control.is_clean_primary_shutdown or not control.was_primary or local_end(seen.node) is not None:
        return None
    if history is None or history.timeline <= control.timeline:
        return None
    outcome = seen.world.outcome(JobKind.CRASH_RECOVERY)
    if outcome is not None and _failed_recently(seen, JobKind.CRASH_RECOVERY):
        return Answer(reason=f"parked: {outcome.error}", wake_after_s=_RETRY_S) if outcome.needs_person else None
    return Answer(reason="crashed as primary; the cluster is on another timeline", steps=(RecoverFromCrash(),))


def wait_for_rewind_source(seen: Following) -> Answer | None:
    """Diverged: rewind and copy only from a leader that is primary and has done its first checkpoint on the new timeline."""
    leader = seen.cluster.leader
    if seen.node.server is not ServerState.STOPPED or divergence(seen.node, seen.cluster) is None:
        return None
    if leader is not None and leader.is_running and leader.role == "primary" and leader.checkpoint_after_promote:
        return None
    return Answer(reason=f"waits until {seen.lock.holder} is primary and has done a checkpoint", wake_after_s=1)


def wait_for_history_of_restore(seen: Following) -> Answer | None:
    """After a restore a node with data of before starts only when it can be told where the cluster has left them."""
    if not _is_before_restore(seen) or seen.node.server is not ServerState.STOPPED:
        return None
    stopped = seen.world.outcome(JobKind.STOP)
    is_read = stopped is None or seen.now - stopped.ended_at > READ_S or local_end(seen.node) is not None
    if recorded_history(seen.cluster) is not None and is_read:
        return None
    return Answer(reason="the cluster was restored; waits until it is known where its history leaves the local one", wake_after_s=0.5)


def repair_diverged(seen: Following) -> Answer | None:
    """Local WAL that the cluster does not have: rewind, else create again, else park with a clear state (safety.md 7)."""
    why = divergence(seen.node, seen.cluster)
    if why is None or seen.node.server is not ServerState.STOPPED:
        return None
    policy, outcome = seen.world.policy, seen.world.outcome(JobKind.REWIND)
    is_given_up = _is_before_restore(seen)  # a person has said so, whatever the settings allow
    may_wipe = policy.remove_data_directory_on_rewind_failure or is_given_up
    rewind_failed = outcome is not None and not outcome.is_done and not outcome.needs_person  # no reason to throw anything away
    control = seen.node.directory.control
    can_rewind = policy.use_pg_rewind and control is not None and (control.data_checksums or control.wal_log_hints)
    is_last_way = (rewind_failed and may_wipe) or (is_given_up and not can_rewind)
    if policy.remove_data_directory_on_diverged_timelines or is_last_way:
        created = seen.world.outcome(JobKind.CREATE_REPLICA)
        if created is not None and _failed_recently(seen, JobKind.CREATE_REPLICA):
            return Answer(reason=f"{_parked(created)}{why}; creating it again failed: {created.error}", wake_after_s=_RETRY_S)
        return Answer(reason=why, steps=(creation(seen.world, seen.cluster, seen.lock.holder),))
    if can_rewind and not _failed_recently(seen, JobKind.REWIND):
        return Answer(reason=why, steps=(Rewind(leader=seen.lock.holder, wipe_on_failure=may_wipe),))
    if can_rewind and outcome is not None:
        return Answer(reason=f"{_parked(outcome)}{why}; the rewind failed: {outcome.error}", wake_after_s=_RETRY_S)
    return Answer(reason=f"parked: {why}; neither use_pg_rewind nor remove_data_directory_on_diverged_timelines allows a repair")


def start_standby(seen: Following) -> Answer | None:
    """Start as a standby of the leader."""
    if seen.node.server is not ServerState.STOPPED:
        return None
    if _failed_recently(seen, JobKind.START):
        return Answer(reason=f"the last start failed: {seen.node.last_start_failed}", wake_after_s=1)
    upstream = wanted_upstream(seen.world, seen.cluster)
    return Answer(reason=f"follows {upstream.member}", steps=(StartServer(role=Role.STANDBY, upstream=upstream),))


def stop_diverged_standby(seen: Following) -> Answer | None:
    """A running standby whose WAL leaves the cluster's history can never stream: stop it, to repair it."""
    why = divergence(seen.node, seen.cluster)
    if why is None:
        return None
    return Answer(reason=why, steps=(StopServer(mode=StopMode.FAST, reason=why),))


def follow_upstream(seen: Following) -> Answer | None:
    """Point the standby at the right member."""
    wanted = wanted_upstream(seen.world, seen.cluster)
    now = seen.node.upstream
    if now is not None and (now.host, now.port, now.slot) == (wanted.host, wanted.port, wanted.slot):
        return None
    return Answer(reason=f"follows {wanted.member}", steps=(Follow(upstream=wanted),))


def restart_blocked_replay(seen: Following) -> Answer | None:
    """PostgreSQL has paused replay, because its primary allows more of something than it does itself: a restart brings it level."""
    if not seen.node.replay_blocked or seen.world.policy.pause:
        return None
    step = RestartServer(role=Role.STANDBY, upstream=wanted_upstream(seen.world, seen.cluster))
    return Answer(reason="replay waits for a larger setting", steps=(step,))


def keep_following(seen: Following) -> Answer | None:
    """Slots of cascading standbys, changed settings; else nothing."""
    step = slot_changes(seen.world, seen.cluster)
    if step is not None:
        return Answer(reason="slots of cascading members differ", steps=(step,), wake_after_s=seen.world.times.loop_wait_s)
    if seen.node.settings_wanted:
        return Answer(reason="settings have changed", steps=(ReloadServer(),))
    return Answer(reason=f"follows {seen.lock.holder}")


def _is_before_restore(seen: Following) -> bool:
    """Tell whether the local data are of before the cluster's newest restore: of a timeline older than the one that it began."""
    restore, control = seen.cluster.own.restore if seen.cluster.own else None, seen.node.directory.control
    timeline = seen.node.timeline or (control.timeline if control is not None else None)
    if restore is None or restore.state is not RestoreState.DONE or restore.timeline is None or timeline is None:
        return False
    return timeline < restore.timeline


def _parked(outcome: Outcome) -> str:
    return "parked: " if outcome.needs_person else ""


def _failed_recently(seen: Following, kind: JobKind) -> bool:
    outcome = seen.world.outcome(kind)
    return outcome is not None and not outcome.is_done and seen.now - outcome.ended_at < _RETRY_S * min(outcome.failures, 6)


FOLLOWING: Final = Table(
    name="following",
    narrow=following,
    rules=(
        resume_lease,
        give_back_fenced_lock,
        lock_in_my_name,
        superseded_by_leader,
        follow_while_starting,
        work_beside_following,
        recover_before_rewind,
        wait_for_rewind_source,
        wait_for_history_of_restore,
        repair_diverged,
        start_standby,
        stop_diverged_standby,
    ),
)

TENDING: Final = Table(name="tending", narrow=following, rules=(follow_upstream, restart_blocked_replay, keep_following))
