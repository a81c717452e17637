"""Rules for a cluster whose lock nobody holds, or whose holder has stood still: return to it, wait, or take it."""

from typing import Final

from hacore.decide.election import (
    better_peer,
    challenge_at,
    electable,
    heir_had_its_time,
    is_clean,
    is_former_holder,
    is_named,
    knows_of_no_cluster,
    living_primary,
    remembered_and_silent,
    store_went_back,
    successors_without_loss,
    wal_end,
    why_behind,
    why_not_eligible,
)
from hacore.decide.lineage import READ_S
from hacore.decide.records import taking
from hacore.decide.table import Table
from hacore.decide.unleased import limited
from hacore.decide.upstreams import NOBODY
from hacore.decide.views import Known, leaderless
from hacore.model.lsn import Lsn
from hacore.model.node import Role, ServerState
from hacore.model.steps import EndServer, RememberDemotion, StartServer
from hacore.model.world import Answer

_RETRY_START_S = 5.0


def wait_for_heir(seen: Known) -> Answer | None:
    """This node has just handed over: the candidate comes first."""
    sightings = seen.world.sightings
    if sightings.demoting is None or sightings.demoting_since is None:
        return None
    if heir_had_its_time(seen.world):
        return Answer(reason="nobody took the lock, or nobody has kept it", steps=(RememberDemotion(candidate=None),), wake_after_s=0)
    return Answer(reason="waits for the candidate to take the lock", wake_after_s=0.5)


def former_holder_returns(seen: Known) -> Answer | None:
    """The last holder takes its lock again at once: its token is the newest, nobody can have written since (safety.md 5).

    Where the end of its WAL is not known yet it is waited for: once it is a standby it could not return.
    """
    if not _may_return(seen):
        return None
    node, since = seen.node, seen.world.sightings.leaderless_since
    end, recorded = wal_end(node), max(seen.cluster.status.optime or Lsn(0), seen.world.memory.lsn or Lsn(0))
    if node.is_primary or (end is not None and end >= recorded):
        return _take(seen, "held the newest lease")
    if node.directory.wal_end is None and since is not None and seen.now - since <= min(READ_S, seen.world.times.ttl_s):
        return Answer(reason="held the newest lease; waits until the end of its WAL is known", wake_after_s=0.2)
    return None


def adopt_running_primary(seen: Known) -> Answer | None:
    """A primary that runs here belongs to a cluster that hacore has no record of: it leads, after its deadline is set."""
    world, node = seen.world, seen.node
    why = why_not_eligible(world)
    if not node.is_primary or seen.cluster.own is not None or why not in (None, world.memory_fault):
        return None
    answer = limited(world, "a primary runs here without a lease")
    if answer is not None:
        return answer
    if why is not None:  # until its deadline the disk may have space again
        return Answer(reason=f"the primary that runs here cannot be adopted: {why}", wake_after_s=1)
    peer = living_primary(world)
    if peer is not None:
        return Answer(reason=f"{peer.name} is primary, too", wake_after_s=1)
    return _take(seen, "adopts the primary that runs here")


def superseded_primary(seen: Known) -> Answer | None:
    """A primary without a lease that may not return: its writes end."""
    if not seen.node.is_primary:
        return None
    return Answer(reason="runs as primary without the right to", steps=(EndServer(reason="no lease"),), wake_after_s=0.1)


def start_before_election(seen: Known) -> Answer | None:
    """Only a running standby can be a candidate."""
    outcome_recent = seen.node.last_start_failed is not None
    if seen.world.job is not None or seen.node.server is not ServerState.STOPPED:
        return None
    strange = _why_strange(seen)
    if strange is not None:
        return Answer(reason=strange)
    step = StartServer(role=Role.STANDBY, upstream=NOBODY)
    if outcome_recent and seen.world.outcomes and seen.now - max(outcome.ended_at for outcome in seen.world.outcomes) < _RETRY_START_S:
        return Answer(reason=f"the last start failed: {seen.node.last_start_failed}", wake_after_s=1)
    return Answer(reason="no leader: starts as a standby", steps=(step,))


def server_is_busy(seen: Known) -> Answer | None:
    """Work goes on, or the server does not answer."""
    if seen.world.job is not None:
        return Answer(reason=f"the {seen.world.job.kind} job goes on")
    if seen.node.server is ServerState.RUNNING and seen.node.role is not None:
        return None
    return Answer(reason=f"no leader; the server is {seen.node.server}", wake_after_s=0.5)


def may_not_lead(seen: Known) -> Answer | None:
    """Tags, settings, a memory that cannot be written, a promotion that has just failed, guard or a pause mark stand against it."""
    why = why_not_eligible(seen.world)
    return None if why is None else Answer(reason=f"no leader; this node may not lead: {why}")


def candidate_is_another(seen: Known) -> Answer | None:
    """A person named somebody else, who can take over."""
    request = seen.cluster.failover
    if request is None or request.candidate == seen.name:
        return None
    if request.candidate is None:
        return (
            Answer(reason="a switchover away from this node", wake_after_s=0.5)
            if request.leader == seen.name and successors_without_loss(seen.world)
            else None
        )
    able = electable(seen.world.peers) if request.leader is None else successors_without_loss(seen.world)
    if any(peer.name == request.candidate for peer in able):
        return Answer(reason=f"{request.candidate} was named", wake_after_s=0.5)
    return None


def wait_before_challenge(seen: Known) -> Answer | None:
    """The holder may still be writing: T has not passed since its last heartbeat was received (challenger rule)."""
    left_s = challenge_at(seen.world, seen.cluster) - seen.now
    return None if left_s <= 0 else Answer(reason=f"no leader; may challenge in {left_s:.1f} s", wake_after_s=left_s)


def behind_the_record(seen: Known) -> Answer | None:
    """Behind the durable records by more than I3 allows: not promoted, even if alone. A person's named candidate is not measured."""
    if is_named(seen.cluster.failover, seen.name):
        return None
    if seen.cluster.broken & {"sync", "hacore"}:
        return Answer(reason="a record that elections rest on is broken")
    strange = _why_strange(seen)
    if strange is not None:
        return Answer(reason=strange)
    silent = remembered_and_silent(seen.world)
    if store_went_back(seen.world, seen.cluster) and silent:
        reason = f"the store is not the one known before: waits for an answer of {', '.join(silent)}, or for a failover to {seen.name}"
        return Answer(reason=reason, wake_after_s=1)
    why = why_behind(seen.world, seen.cluster)
    return None if why is None else Answer(reason=f"no leader; {why}", wake_after_s=1)


def peer_comes_first(seen: Known) -> Answer | None:
    """A peer has more WAL, or is primary still."""
    alive = living_primary(seen.world)
    if alive is not None:
        return Answer(reason=f"{alive.name} is primary still", wake_after_s=0.5)
    request = seen.cluster.failover
    if is_named(request, seen.name):
        return None
    peer = better_peer(seen.world, seen.cluster, by_priority=request is None)
    return None if peer is None else Answer(reason=f"{peer.name} comes first, at {peer.lsn}", wake_after_s=0.5)


def take_the_lock(seen: Known) -> Answer | None:
    """Nobody is better: compare and take."""
    if not seen.world.peers_asked:
        return Answer(reason="asks the other members", wake_after_s=0)
    return _take(seen, "the best candidate")


def _may_return(seen: Known) -> bool:
    """Tell whether this node held the newest lease and may take it again, its WAL apart."""
    world, node = seen.world, seen.node
    if not is_former_holder(world, seen.cluster) or world.job is not None or why_not_eligible(world) is not None:
        return False
    control, own, request = node.directory.control, seen.cluster.own, seen.cluster.failover
    can_write = node.is_primary or (
        node.server is ServerState.STOPPED and control is not None and control.was_primary and not node.directory.has_standby_signal
    )
    if own is not None and is_clean(own) and not node.is_primary and electable(world.peers):
        return False  # it was given back for somebody else to take
    return can_write and living_primary(world) is None and (request is None or request.candidate == seen.name)


def _why_strange(seen: Known) -> str | None:
    """Return why a standby of somebody's is not promoted: its primary lives, perhaps, where neither the store nor a member tells of it.

    A directory without ``standby.signal`` is a primary's, which begins a cluster here; started to stand for election it has no upstream.
    """
    directory = seen.node.directory
    if is_named(seen.cluster.failover, seen.name) or not knows_of_no_cluster(seen.world, seen.cluster):
        return None
    if seen.node.server is ServerState.STOPPED:
        is_standby = directory.has_standby_signal or (directory.control is not None and not directory.control.was_primary)
    else:
        is_standby = seen.node.upstream is not None and bool(seen.node.upstream.host)
    if not is_standby:
        return None
    return (
        "no leader; the store knows nothing of this standby's cluster: are store, namespace and scope those of its primary?"
        f" A failover to {seen.name} begins the cluster with it"
    )


def _take(seen: Known, reason: str) -> Answer:
    lock = seen.cluster.lock
    step = taking(seen.world, seen.cluster, replaces=lock)
    if lock is not None:
        reason = f"{reason}; {lock.holder} holds the lock and has stood still"
    return Answer(reason=reason, steps=(step,), wake_after_s=0)


LEADERLESS: Final = Table(
    name="leaderless",
    narrow=leaderless,
    rules=(
        wait_for_heir,
        former_holder_returns,
        adopt_running_primary,
        superseded_primary,
        start_before_election,
        server_is_busy,
        may_not_lead,
        candidate_is_another,
        wait_before_challenge,
        behind_the_record,
        peer_comes_first,
        take_the_lock,
    ),
)
