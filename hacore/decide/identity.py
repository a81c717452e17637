"""Rules on who this node is: a data directory of another cluster never leads, follows or is overwritten (I9)."""

from typing import Final

from hacore.decide.table import Table
from hacore.decide.views import Known, known
from hacore.model.steps import Exit, ReleaseLease
from hacore.model.world import Answer

FATAL = 1


def foreign_system_id(seen: Known) -> Answer | None:
    """The data directory belongs to another cluster: give the lock back and end; PostgreSQL is left alone.

    A member that has been in this cluster with this system identifier doubts the record first: it gives the leader T to write it again.
    """
    found, wanted, world = _system_id(seen), seen.cluster.initialize, seen.world
    if found is None or not wanted or found == wanted or world.job is not None:
        return None
    if world.lease is not None and found == world.memory.system_id:
        return None  # the record is wrong, not the node: the leader writes it again
    reason = f"system identifier {found} is of another cluster, want {wanted}"
    left_s = _doubt_s(seen) if found == world.memory.system_id else 0.0
    if left_s > 0:
        return Answer(reason=f"{reason}; it was this one: gives the leader {left_s:.0f} s to mend the record", wake_after_s=1)
    give_back = (ReleaseLease(clean=seen.node.cannot_write),) if world.lease is not None else ()
    if world.policy.pause:
        return Answer(reason=reason, steps=give_back)
    return Answer(reason=reason, steps=(*give_back, Exit(code=FATAL, reason=reason, leave_server=True)))


def _doubt_s(seen: Known) -> float:
    """Return for how long the record may still be wrong: T after it was first seen as it is."""
    since = seen.world.sightings.initialize_claim_since
    return 0.0 if since is None else since + seen.world.times.ttl_s - seen.now


def _system_id(seen: Known) -> str | None:
    control = seen.node.directory.control
    return seen.node.system_id or (control.system_id if control else None)


IDENTITY: Final = Table(name="identity", narrow=known, rules=(foreign_system_id,))
