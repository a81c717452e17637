"""Rules that come before everything else: writes that must not go on."""

from typing import Final

from hacore.decide.table import Table
from hacore.decide.views import any_world
from hacore.model.jobs import JobKind
from hacore.model.node import ServerState
from hacore.model.steps import CancelJob, EndServer
from hacore.model.world import Answer, World

_STARTING: Final = frozenset({JobKind.START, JobKind.RESTART, JobKind.BOOTSTRAP, JobKind.CRASH_RECOVERY, JobKind.RESTORE})


def orphaned_server(world: World) -> Answer | None:
    """The postmaster has gone and processes of it live: a dead postmaster is not the end of writes (safety.md 4)."""
    if world.node.server is not ServerState.ORPHANED or (world.job is not None and world.job.kind in _STARTING):
        return None  # a server that is just starting has no postmaster file yet
    return Answer(reason="the postmaster has gone, its processes live", steps=(EndServer(reason="orphaned processes"),), wake_after_s=0.1)


def lease_lost_while_taking_over(world: World) -> Answer | None:
    """The lease ended during a promotion or a start as primary: that server, and the work, must end (safety.md 3.7)."""
    job = world.job
    if job is None or not job.enables_writes or world.lease is not None or (world.policy.pause and world.cluster is None):
        return None
    reason = f"the lease is lost while the {job.kind} job goes on"
    return Answer(reason=reason, steps=(CancelJob(kind=job.kind, reason=reason), EndServer(reason=reason)), wake_after_s=0.2)


URGENT: Final = Table(name="urgent", narrow=any_world, rules=(orphaned_server, lease_lost_while_taking_over))
