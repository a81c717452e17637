"""A primary that runs without a lease: it gets its deadline once, and ends where none can be put in force (safety.md 3.7 and 4)."""

from hacore.model.steps import ArmAdopted, EndServer
from hacore.model.world import Answer, World


def limited(world: World, reason: str) -> Answer | None:
    """Return what puts an end to its writes; ``None`` while a deadline is in force.

    A fence that fired takes no deadline without a new token, and what somebody made primary under it has none to wait for.
    """
    fence, ends_at = world.node.fence, world.memory.adopted_deadline
    if fence.armed:
        return None
    is_over = ends_at is not None and world.now >= ends_at - world.policy.budget(world.times.ttl_s)
    if not fence.fired and not is_over:
        return Answer(reason=reason, steps=(ArmAdopted(),), wake_after_s=0)
    why = "the fence has fired" if fence.fired else "its deadline has passed"
    return Answer(reason=f"{reason}; {why}", steps=(EndServer(reason=why),), wake_after_s=0.1)
