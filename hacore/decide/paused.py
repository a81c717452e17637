"""Rules for maintenance: no automatic start, stop, promotion, demotion, slot removal or wipe (I11; interface reference 10.3).

What a person asked for goes on: a switchover or failover to a named member is left to the tables that carry it out.
"""

from dataclasses import replace
from typing import Final

from hacore.decide.election import challenge_at, is_former_holder, living_primary, why_behind, why_not_eligible
from hacore.decide.following import follow_upstream, resume_lease, start_standby
from hacore.decide.handing_over import back_as_primary
from hacore.decide.leaderless import start_before_election, wait_for_heir
from hacore.decide.leading import failover_request_is_over, restore_records, switchover_requested
from hacore.decide.own import without_hold
from hacore.decide.promoting import promotion_failed
from hacore.decide.records import blank_request, taking
from hacore.decide.table import Table
from hacore.decide.views import Known, empty, following, leaderless, leading, paused, promoting
from hacore.model.jobs import JobKind
from hacore.model.node import DirectoryState, Role, ServerState
from hacore.model.steps import Disarm, ReleaseLease, ReloadServer, WriteOwn
from hacore.model.world import Answer


def work_in_pause(seen: Known) -> Answer | None:
    """The work in flight goes on, so does a hand-over or promotion that a person asked for."""
    job = seen.world.job
    if job is None or seen.world.sightings.demoting is not None:
        return None
    return Answer(reason=f"pause: the {job.kind} job goes on")


def note_unfenced(seen: Known) -> Answer | None:
    """Before the guard is disarmed the own record says whom nobody will fence; without that it stays armed. A switchover's mark goes."""
    holder = leading(seen.world)
    if holder is None or seen.world.sightings.demoting is not None:
        return None
    if holder.own.unfenced == seen.name and holder.own.hold is None:
        return None
    own = replace(without_hold(holder.own), unfenced=seen.name)
    return Answer(reason="pause: notes that this node is not fenced", steps=(WriteOwn(own=own),), wake_after_s=0)


def restore_records_in_pause(seen: Known) -> Answer | None:
    """A store that was emptied gets back what it said, maintenance included: without it nobody could end that."""
    holder = leading(seen.world)
    return None if holder is None or seen.world.sightings.demoting is not None else restore_records(holder)


def disarm_in_pause(seen: Known) -> Answer | None:
    """Automatic fencing is off in pause."""
    holder = leading(seen.world)
    if holder is None or not seen.node.fence.armed or holder.own.unfenced != seen.name:
        return None
    return Answer(reason="pause: disarms the guard", steps=(Disarm(reason="pause"),))


def request_in_pause(seen: Known) -> Answer | None:
    """A switchover to a named member is possible in maintenance; any other request is dropped."""
    holder, request = leading(seen.world), seen.cluster.failover
    if holder is None or request is None or seen.world.sightings.demoting is not None:
        return None
    over = failover_request_is_over(holder)
    return over if over is not None or request.candidate is None else switchover_requested(holder)


def resume_in_pause(seen: Known) -> Answer | None:
    """An agent that was started again goes on with its lock."""
    other = following(seen.world)
    return None if other is None else resume_lease(other)


def release_in_pause(seen: Known) -> Answer | None:
    """A leader whose PostgreSQL a person has stopped, or that is not primary, gives the lock back; a failed promotion ends the wish."""
    request = seen.cluster.failover
    if seen.world.lease is None or seen.node.is_primary or seen.world.sightings.demoting is not None:
        return None
    is_named = request is not None and request.candidate == seen.name and seen.node.role is Role.STANDBY
    if is_named or seen.node.server not in {ServerState.STOPPED, ServerState.RUNNING}:
        return None
    holder = promoting(seen.world)
    failed = None if holder is None else promotion_failed(holder)  # it may have ended the server
    return failed or Answer(reason="pause: PostgreSQL is not primary", steps=(ReleaseLease(clean=True),), wake_after_s=0)


def primary_takes_lock_in_pause(seen: Known) -> Answer | None:
    """The primary that runs takes the lock when nobody holds it."""
    world, own = seen.world, seen.cluster.own
    if leaderless(world) is None or not seen.node.is_primary or living_primary(world) is not None:
        return None
    is_known = own is None or own.unfenced == seen.name or is_former_holder(world, seen.cluster)
    if not is_known and not _was_left_by_another_product(seen):
        return None
    return Answer(reason="pause: the primary runs here", steps=(taking(world, seen.cluster),), wake_after_s=0)


def _was_left_by_another_product(seen: Known) -> bool:
    """Tell whether this primary led under another product's agent, which a person has replaced by ours: nobody can have written since.

    Its lock stood in this node's name, or nobody has held one for so long that anybody could challenge; and it is not behind the records.
    """
    world, own = seen.world, seen.cluster.own
    if own is None or own.unfenced is not None or not world.peers_asked:
        return False
    is_ours = world.sightings.lock_holder == seen.name or challenge_at(world, seen.cluster) <= seen.now
    return is_ours and why_behind(world, seen.cluster) is None


def named_candidate_in_pause(seen: Known) -> Answer | None:
    """A person named this node."""
    world, request = seen.world, seen.cluster.failover
    if leaderless(world) is None or request is None or request.candidate != seen.name or seen.node.role is not Role.STANDBY:
        return None
    if why_not_eligible(world) is not None or living_primary(world) is not None or challenge_at(world, seen.cluster) > seen.now:
        return None
    return Answer(reason="pause: a person named this node", steps=(taking(world, seen.cluster),), wake_after_s=0)


def return_in_pause(seen: Known) -> Answer | None:
    """This node has handed over and the candidate has not come: it takes the lock again, and starts as the primary that it was.

    As a standby where somebody has led meanwhile and leads no more, and where a promotion of it has ended its server: then a person
    names who shall lead.
    """
    world, request = seen.world, seen.cluster.failover
    if leaderless(world) is None or seen.node.server is not ServerState.STOPPED or world.job is not None:
        return None
    waiting = wait_for_heir(seen)
    if waiting is None and world.is_down_for_promotion:
        return start_before_election(seen)
    if waiting is None or not waiting.steps or living_primary(world) is not None:
        return waiting
    if not is_former_holder(world, seen.cluster):
        return start_before_election(seen)
    why = why_not_eligible(world)
    if why is not None:  # it is not forgotten that nobody but this node can go on
        return Answer(reason=f"pause: {waiting.reason}, and the primary is not started: {why}", wake_after_s=1)
    wish = () if request is None else (blank_request(request),)
    step = taking(world, seen.cluster, *wish)  # with the wish, so that the candidate does not come now
    return Answer(reason=f"pause: {waiting.reason}", steps=(step, back_as_primary(world)), wake_after_s=0)


def standby_in_pause(seen: Known) -> Answer | None:
    """A running standby follows the leader; one that handed over, could not be promoted, or was created again or restarted, is started."""
    other = following(seen.world)
    if other is None or other.lock.holder == seen.name or seen.node.is_primary:
        return None
    if seen.node.server is ServerState.RUNNING:
        return follow_upstream(other)
    is_restarted = seen.world.is_down_for_restart and seen.node.directory.has_standby_signal  # a former primary might have diverged
    is_handed_over = seen.world.sightings.demoting is not None or seen.world.is_down_for_promotion
    is_asked = is_handed_over or seen.world.is_down_for_copy or is_restarted
    return start_standby(other) if is_asked and seen.world.job is None else None


def nothing_in_pause(seen: Known) -> Answer | None:
    """Settings that changed are brought in, all else is left as it is; only what a person asked for goes on to the other tables."""
    request, lease = seen.cluster.failover, seen.world.lease
    asked = seen.world.sightings.demoting is not None or (request is not None and request.candidate == seen.name)
    if (lease is not None and asked) or _lacks_its_copy(seen):
        return None
    if seen.node.settings_wanted and seen.world.job is None:
        return Answer(reason="pause: settings have changed", steps=(ReloadServer(),))
    return Answer(reason="pause: nothing is done automatically")


def _lacks_its_copy(seen: Known) -> bool:
    """Tell whether the copy that a person asked for failed after the old data had gone, and there is a leader to copy."""
    world, copied, other = seen.world, seen.world.outcome(JobKind.CREATE_REPLICA), following(seen.world)
    is_asked = copied is not None and copied.command is not None and not copied.is_done
    is_gone = seen.node.directory.state in {DirectoryState.EMPTY, DirectoryState.UNFINISHED}
    return is_asked and is_gone and empty(world) is not None and other is not None and other.lock.holder != seen.name


PAUSED: Final = Table(
    name="paused",
    narrow=paused,
    rules=(
        work_in_pause,
        note_unfenced,
        restore_records_in_pause,
        disarm_in_pause,
        request_in_pause,
        resume_in_pause,
        release_in_pause,
        primary_takes_lock_in_pause,
        named_candidate_in_pause,
        return_in_pause,
        standby_in_pause,
        nothing_in_pause,
    ),
)
