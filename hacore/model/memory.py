"""What a node remembers: on its disk across restarts, and in the agent since its start."""

from dataclasses import dataclass, replace

from hacore.model.clock import Instant
from hacore.model.cluster import Member
from hacore.model.lsn import Lsn


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """On disk, fsynced: the newest that this node has seen (safety.md 5)."""

    scope: str | None = None  # of the cluster that the rest is about; ``None``: of before it was noted
    store_id: str | None = None
    token: int = 0  # newest token seen
    held_token: int | None = None  # of this node's own newest acquisition
    held_instance: str | None = None  # lock instance of that acquisition
    timeline: int | None = None
    lsn: Lsn | None = None  # recorded position of the leader
    system_id: str | None = None
    members: tuple[str, ...] = ()  # members that this node has ever seen in the cluster
    adopted_deadline: Instant | None = None  # a foreign primary gets F once; a restarting agent does not extend it
    adopted_boot_id: str | None = None  # boot to which that instant belongs
    paused: bool = False


def without_adoption(memory: Memory) -> Memory:
    """Return the memory without the deadline of a foreign primary: that server has got a lease, or has ended."""
    return replace(memory, adopted_deadline=None, adopted_boot_id=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sightings:
    """In the agent: since when it has seen what. Folded from turn to turn, so that decide needs no memory of its own."""

    started_at: Instant
    running_at: Instant | None = None  # this node's server was last seen to answer
    own_version: int | None = None  # revision of the own record ...
    own_version_since: Instant | None = None  # ... and when this node first received it
    lock_instance: str | None = None  # last lock instance seen ...
    lock_holder: str | None = None
    lock_stale_at: Instant | None = None  # the held lock counts as gone: its heartbeat has stood still (safety.md 3.9)
    leaderless_since: Instant | None = None
    uninitialized_since: Instant | None = None  # no leader, no initialize key, no member with data
    initialize_claim_version: int | None = None  # a bootstrap of somebody else that does not move ...
    initialize_claim_since: Instant | None = None  # ... since then
    failover_version: int | None = None  # revision of a person's request ...
    failover_was_leaderless: bool = False  # ... came, as this node has seen, when nobody led, and nobody has since
    store_lost_since: Instant | None = None
    store_back_at: Instant | None = None  # end of the last outage
    members_seen: tuple[tuple[str, Instant], ...] = ()  # every member and when its record was last there
    members_with_leader: tuple[Member, ...] = ()  # records of the members seen while the cluster last had a leader
    down_since: Instant | None = None  # this node's primary, under the lease, does not run
    down_s: float = 0.0  # budget used by earlier crashes of the series
    healthy_since: Instant | None = None  # this node's primary runs under the lease
    checkpointed_timeline: int | None = None  # timeline whose first checkpoint was done here
    demoting: str | None = None  # candidate of the switchover this node is carrying out; "" where none was named
    demoting_since: Instant | None = None
