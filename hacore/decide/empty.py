"""Rules for a node without a data directory that can be started: create the cluster, or a replica of it."""

from typing import Final

from hacore.decide.election import challenge_at, remembered_and_silent, why_not_eligible
from hacore.decide.own import acquisition
from hacore.decide.table import Table
from hacore.decide.upstreams import creation, is_ready_to_copy
from hacore.decide.views import Known, empty
from hacore.model.jobs import JobKind
from hacore.model.node import DirectoryState
from hacore.model.steps import AcquireLease, Bootstrap, CreateReplica, Exit, PutRecord, ReleaseLease, Rewind
from hacore.model.world import Answer

_RETRY_METHOD_S = 5.0  # interface reference 8.1
_MARK_REWIND = "rewind"
_BOOTSTRAP_STATES = frozenset({"initializing new cluster", "running custom bootstrap script"})


def filling_directory(seen: Known) -> Answer | None:
    """The work in flight fills the directory."""
    job = seen.world.job
    return None if job is None else Answer(reason=f"the {job.kind} job goes on")


def bootstrap_failed(seen: Known) -> Answer | None:
    """Make room for another member: initialize record away, lock back, end with an error (interface reference 8.3)."""
    outcome, lease = seen.world.outcome(JobKind.BOOTSTRAP), seen.world.lease
    if lease is None or outcome is None or outcome.is_done:
        return None
    reason = f"bootstrap failed: {outcome.error}"
    steps = (
        PutRecord(name="initialize", value=None, expected=seen.cluster.initialize_version),
        ReleaseLease(clean=True),
        Exit(code=1, reason=reason),
    )
    return Answer(reason=reason, steps=steps)


def bootstrap_under_lease(seen: Known) -> Answer | None:
    """The member that holds the lock of a cluster that is being created creates it."""
    own, lease = seen.cluster.own, seen.world.lease
    if lease is None or own is None or not own.bootstrapping or seen.cluster.initialize:
        return None
    return Answer(reason="won the initialization race", steps=(Bootstrap(),))


def leader_without_data(seen: Known) -> Answer | None:
    """A leader whose data directory has gone gives the lock back: no process of it can write."""
    if seen.world.lease is None:
        return None
    return Answer(reason="the data directory is gone", steps=(ReleaseLease(clean=True),), wake_after_s=0)


def finish_rewind(seen: Known) -> Answer | None:
    """A rewind that was interrupted left a directory that must never be started: rewind again."""
    lock, directory = seen.cluster.lock, seen.node.directory
    leader = seen.cluster.leader
    outcome = seen.world.outcome(JobKind.REWIND)
    if directory.mark != _MARK_REWIND or lock is None or leader is None or not is_ready_to_copy(seen.cluster):
        return None
    if outcome is not None and outcome.needs_person and seen.now - outcome.ended_at < _RETRY_METHOD_S:
        return Answer(reason=f"parked: {outcome.error}", wake_after_s=_RETRY_METHOD_S)
    if outcome is not None and not outcome.is_done and not outcome.needs_person:
        return None
    wipe = seen.world.policy.remove_data_directory_on_rewind_failure
    return Answer(reason="a rewind was interrupted", steps=(Rewind(leader=lock.holder, wipe_on_failure=wipe),))


def waiting_for_ready_leader(seen: Known) -> Answer | None:
    """There is a leader; it is not primary yet, or the last attempt failed just now."""
    if seen.cluster.lock is None:
        return None
    if not is_ready_to_copy(seen.cluster):
        return Answer(reason=f"waits until {seen.cluster.lock.holder} is primary", wake_after_s=1)
    outcome = seen.world.outcome(JobKind.CREATE_REPLICA)
    if outcome is None or outcome.is_done or seen.world.now - outcome.ended_at >= _RETRY_METHOD_S:
        return None
    left_s = _RETRY_METHOD_S - (seen.world.now - outcome.ended_at)
    return Answer(reason=f"creating the replica failed: {outcome.error}", wake_after_s=left_s)


def create_replica(seen: Known) -> Answer | None:
    """Fill the directory by the configured chain of methods."""
    if seen.cluster.lock is None:
        return None
    failed = seen.world.outcome(JobKind.CREATE_REPLICA)
    command = None if failed is None or failed.is_done else failed.command  # what a person asked for is tried until it is done
    step = creation(seen.world, seen.cluster, seen.cluster.lock.holder, command=command)
    return Answer(reason=f"copies from {step.source}", steps=(step,))


def abandoned_bootstrap(seen: Known) -> Answer | None:
    """The member that was creating the cluster died: take its initialize record away by comparison after T without a heartbeat."""
    cluster = seen.cluster
    if cluster.initialize != "":
        return None
    busy = next((member.name for member in seen.world.others if member.state in _BOOTSTRAP_STATES), None)
    left_s = challenge_at(seen.world, cluster) - seen.now
    if busy is not None or left_s > 0:
        return Answer(reason=f"waits for the bootstrap by {busy or 'another member'}", wake_after_s=max(left_s, 0.2))
    step = PutRecord(name="initialize", value=None, expected=cluster.initialize_version, under_lock=False)
    return Answer(reason="the bootstrap was abandoned", steps=(step,), wake_after_s=0)


def bootstrap_race(seen: Known) -> Answer | None:
    """Nobody has data: after T without leader, initialize record and members with data, race for the right to create the cluster."""
    world, cluster = seen.world, seen.cluster
    since = world.sightings.uninitialized_since
    if cluster.initialize is not None or not world.me.may_bootstrap or since is None:
        return None
    if world.me.bootstrap_refusal is not None:
        return Answer(reason=f"does not create the cluster: {world.me.bootstrap_refusal}")
    if why_not_eligible(world) not in (None, "its data directory is not whole"):
        return None
    waits_for = _where_it_may_be(seen) if world.memory.timeline is not None else None
    if waits_for is not None:
        return Answer(reason=f"the store is empty, and this node remembers a cluster that has data: {waits_for}", wake_after_s=1)
    left_s = since + world.times.ttl_s - seen.now
    if left_s > 0:
        return Answer(reason=f"an empty store is initialized after {left_s:.1f} s more without a leader", wake_after_s=left_s)
    step = AcquireLease(
        own=acquisition(world, cluster, bootstrapping=True),
        own_version=cluster.own_version or 0,
        puts=(PutRecord(name="initialize", value="", expected=0),),
    )
    return Answer(reason="nobody has data: races to create the cluster", steps=(step,), wake_after_s=0)


def _where_it_may_be(seen: Known) -> str | None:
    """Return who may have the data of the cluster that this node remembers; ``None`` where all have answered, and nobody has any."""
    owner = next((peer.name for peer in seen.world.peers if peer.system_id is not None), None)
    silent = remembered_and_silent(seen.world)
    if owner is not None:
        return f"waits for {owner}, which has data"
    if silent:
        way_out = "stop hacore here, remove its state directory (DATA_DIR.hacore, or guard.state_dir), and start it"
        return f"waits for an answer of {', '.join(silent)}; where that has gone for good, {way_out}"
    return None


def create_without_leader(seen: Known) -> Answer | None:
    """Some replica method needs no leader (a backup): use it."""
    outcome = seen.world.outcome(JobKind.CREATE_REPLICA)
    recently = outcome is not None and not outcome.is_done and seen.now - outcome.ended_at < _RETRY_METHOD_S
    if not seen.cluster.initialize or not seen.world.me.leaderless_methods or recently:
        return None
    return Answer(
        reason="no leader: copies from a backup", steps=(CreateReplica(leader=None, source=None, system_id=seen.cluster.initialize),)
    )


def waiting_for_leader(seen: Known) -> Answer | None:
    """Nothing to copy from, and no right to create the cluster."""
    state = seen.node.directory.state
    what = "the data directory is broken" if state is DirectoryState.BROKEN else "there is nothing to start"
    return Answer(reason=f"{what}; waits for a leader to copy from")


EMPTY: Final = Table(
    name="empty",
    narrow=empty,
    rules=(
        filling_directory,
        bootstrap_failed,
        bootstrap_under_lease,
        leader_without_data,
        finish_rewind,
        waiting_for_ready_leader,
        create_replica,
        abandoned_bootstrap,
        bootstrap_race,
        create_without_leader,
        waiting_for_leader,
    ),
)
