"""Rules on who this node is: a data directory of another cluster never leads, follows or is overwritten (I9)."""

from typing import Final

from hacore.decide.table import Table
from hacore.decide.views import Known, known
from hacore.model.steps import Exit, ReleaseLease
from hacore.model.world import Answer

FATAL = 1


def foreign_system_id(seen: Known) -> Answer | None:
    """The data directory belongs to another cluster: give the lock back and end; PostgreSQL is left alone."""
    found, wanted, world = _system_id(seen), seen.cluster.initialize, seen.world
    if found is None or not wanted or found == wanted or world.job is not None:
        return None
    if world.lease is not None and found == world.memory.system_id:
        return None  # the record is wrong, not the node: the leader writes it again
    reason = f"system identifier {found} is of another cluster, want {wanted}"
    give_back = (ReleaseLease(clean=not seen.node.is_primary),) if world.lease is not None else ()
    if world.policy.pause:
        return Answer(reason=reason, steps=give_back)
    return Answer(reason=reason, steps=(*give_back, Exit(code=FATAL, reason=reason, leave_server=True)))


def _system_id(seen: Known) -> str | None:
    control = seen.node.directory.control
    return seen.node.system_id or (control.system_id if control else None)


IDENTITY: Final = Table(name="identity", narrow=known, rules=(foreign_system_id,))
