"""Since when this node has seen what: a pure fold from turn to turn."""

from dataclasses import dataclass, replace

from hacore.model.clock import Instant
from hacore.model.cluster import ClusterView, Member
from hacore.model.jobs import JobKind, Outcome
from hacore.model.lease import Lease
from hacore.model.memory import Sightings
from hacore.model.node import NodeState, Role, ServerState
from hacore.model.policy import Policy, Times

_FIRST_TIMELINE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one turn read."""

    now: Instant
    cluster: ClusterView | None
    node: NodeState
    lease: Lease | None
    policy: Policy
    times: Times
    outcomes: tuple[Outcome, ...]


def advance(before: Sightings, reading: Reading) -> Sightings:
    """Return the sightings with this turn's reading in them."""
    seen = _of_primary(_of_server(_of_cluster(before, reading), reading), reading)
    return _of_hand_over(_of_checkpoint(seen, reading), reading)


def _of_cluster(before: Sightings, reading: Reading) -> Sightings:
    now, cluster = reading.now, reading.cluster
    if cluster is None:
        return replace(before, store_lost_since=before.store_lost_since or now)
    seen = replace(before, store_lost_since=None)
    if before.store_lost_since is not None:
        seen = replace(seen, store_back_at=now)
    if cluster.own_version != before.own_version:
        seen = replace(seen, own_version=cluster.own_version, own_version_since=cluster.own_received_at or now)
    if cluster.initialize_version != before.initialize_claim_version:
        seen = replace(seen, initialize_claim_version=cluster.initialize_version, initialize_claim_since=now)
    seen = _of_request(seen, before, cluster)
    names = tuple(member.name for member in cluster.members)
    members_seen = {**dict(before.members_seen), **dict.fromkeys(names, now)}
    seen = replace(seen, members_seen=tuple(sorted(members_seen.items())))
    if cluster.lock is not None:
        return replace(
            seen,
            lock_instance=cluster.lock.instance,
            lock_holder=cluster.lock.holder,
            lock_stale_at=_stale_at(seen, cluster, reading),
            leaderless_since=None,
            uninitialized_since=None,
            members_with_leader=_members_of(before, cluster),
        )
    has_data = any(member.is_running for member in cluster.members)
    is_new = cluster.initialize is None and not has_data
    return replace(
        seen,
        lock_stale_at=None,
        # After an outage the count begins anew: nobody could have taken the lock meanwhile.
        leaderless_since=now if before.store_lost_since is not None else before.leaderless_since or now,
        members_with_leader=_all_members(before, cluster),
        uninitialized_since=(before.uninitialized_since or now) if is_new else None,
    )


def _of_request(seen: Sightings, before: Sightings, cluster: ClusterView) -> Sightings:
    """Note whether a person's request came after the last holder was gone: only then can it have been meant to do without that one.

    An outage of the store between two readings changes nothing where the own record, which each holder writes, is the same. What an agent
    finds in its first turn, or together with the loss of the lock, may be from before.
    """
    requested = cluster.failover.version if cluster.failover is not None else None
    nobody_led = before.leaderless_since is not None and cluster.lock is None and cluster.own_version == before.own_version
    came_so = requested is not None and (requested != before.failover_version or before.failover_was_leaderless)
    return replace(seen, failover_version=requested, failover_was_leaderless=nobody_led and came_so)


def _stale_at(seen: Sightings, cluster: ClusterView, reading: Reading) -> Instant | None:
    """Return when the held lock counts as gone: T + M after the heartbeat of its holder was first received, or the store came back.

    Only where the own record names this lock: the holder of another product has no heartbeat. In pause the writes of a holder whose lease
    has ended go on, and who creates the cluster has no successor.
    """
    own, lock = cluster.own, cluster.lock
    if (
        own is None
        or lock is None
        or own.instance != lock.instance
        or own.bootstrapping
        or reading.policy.pause
        or reading.lease is not None
    ):
        return None
    period_s = max(reading.times.ttl_s, own.ttl_s)
    counts_from = max(seen.own_version_since or reading.now, seen.store_back_at or 0.0)
    return counts_from + period_s + reading.policy.margin(period_s)


def _members_of(before: Sightings, cluster: ClusterView) -> tuple[Member, ...]:
    """Return the newest records: of members that are there, and of those that vanished while the same lock has been held."""
    lock = cluster.lock
    same = lock is not None and lock.instance == before.lock_instance
    gone = [member for member in before.members_with_leader if same and cluster.member(member.name) is None]
    return (*cluster.members, *gone)


def _all_members(before: Sightings, cluster: ClusterView) -> tuple[Member, ...]:
    """Return the newest records also of those that vanish while nobody leads."""
    return (*cluster.members, *(member for member in before.members_with_leader if cluster.member(member.name) is None))


def _of_server(seen: Sightings, reading: Reading) -> Sightings:
    """Note that the server runs: work that failed meanwhile, or a person, may have brought it up."""
    return replace(seen, running_at=reading.node.read_at) if reading.node.server is ServerState.RUNNING else seen


def _of_primary(seen: Sightings, reading: Reading) -> Sightings:
    """Count how long a primary under the lease has been down: crashes in a row share one budget (safety.md 10, scenario 1)."""
    now, node = reading.now, reading.node
    if reading.lease is None:
        return replace(seen, down_since=None, down_s=0.0, healthy_since=None)
    if not node.is_primary:
        return replace(seen, down_since=seen.down_since or now, healthy_since=None)
    used_s = seen.down_s + (now - seen.down_since if seen.down_since is not None else 0.0)
    healthy_since = seen.healthy_since or now
    if now - healthy_since >= reading.policy.primary_start_timeout_s:
        used_s = 0.0
    return replace(seen, down_since=None, down_s=used_s, healthy_since=healthy_since)


def _of_checkpoint(seen: Sightings, reading: Reading) -> Sightings:
    """Note the timeline whose first checkpoint is in the control file."""
    node = reading.node
    if reading.lease is None or not node.is_primary or node.timeline is None or node.timeline == seen.checkpointed_timeline:
        return seen
    control = node.directory.control
    is_in_control = control is not None and control.timeline == node.timeline
    done = next((outcome for outcome in reading.outcomes if outcome.kind is JobKind.CHECKPOINT and outcome.is_done), None)
    was_done = done is not None and seen.healthy_since is not None and done.ended_at - done.took_s >= seen.healthy_since
    if node.timeline == _FIRST_TIMELINE or is_in_control or was_done:
        return replace(seen, checkpointed_timeline=node.timeline)
    return seen


def _of_hand_over(seen: Sightings, reading: Reading) -> Sightings:
    """Forget a hand-over once the server that was stopped for it runs: as a standby, or after a start that was done."""
    since, node = seen.demoting_since, reading.node
    if since is None:
        return seen
    is_standby = node.server is ServerState.RUNNING and node.role is Role.STANDBY
    was_started = any(one.kind is JobKind.START and one.is_done and one.ended_at >= since for one in reading.outcomes)
    return replace(seen, demoting=None, demoting_since=None) if is_standby or was_started else seen
