"""How long each step of a switchover or a failover took, on the side that takes over and on the side that gives away.

A pure fold over the worlds of all turns. All instants are of this node's clock; what the other side did is told in the other's journal.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from hacore.model.clock import Instant
from hacore.model.events import EventKind
from hacore.model.jobs import JobKind
from hacore.model.node import ServerState
from hacore.model.world import World
from hacore.publish.events import Happening

Steps = tuple[tuple[str, Instant], ...]

_MOST_S: Final = 3600.0  # what takes longer was given up


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One change of the leader that is on its way on this node."""

    kind: EventKind
    other: str  # who led before, or who shall lead next
    began_at: Instant
    steps: Steps = ()

    def has(self, step: str) -> bool:
        """Tell whether a step was done."""
        return any(name == step for name, _ in self.steps)

    def with_step(self, step: str, at: Instant | None) -> "Course":
        """Note when a step was done, once."""
        if at is None or self.has(step):
            return self
        return replace(self, steps=(*self.steps, (step, max(at, self.began_at))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is on its way: the memory between two turns."""

    course: Course | None = None
    had_lease: bool | None = None  # ``None``: no turn yet
    leaderless_since: Instant | None = None
    leader: str | None = None
    is_planned: bool = False  # somebody asked for a switchover when this node last looked


def follow(progress: Progress, world: World, *, released_at: Instant | None, now: Instant) -> tuple[Progress, Happening | None]:
    """Return what has come to its end with this turn, and what is on its way.

    :param world: of the turn, with the lease as it is after its steps.
    :param released_at: when the lock was given back in this turn.
    :param now: when the turn was published.
    """
    course, happening = _begun(progress, world), None
    if course is not None:
        course = _handing_over(course, world, released_at) if course.kind is EventKind.HANDED_OVER else _taking_over(course, world, now)
        if _is_complete(course):
            happening = _happening(course, world)
            course = None
        elif _is_over(course, world, now):
            course = None
    view = world.cluster
    return (
        Progress(
            course=course,
            had_lease=world.lease is not None,
            leaderless_since=world.sightings.leaderless_since,
            leader=view.lock.holder if view is not None and view.lock is not None else progress.leader,
            is_planned=_is_planned(world) if view is not None else progress.is_planned,
        ),
        happening,
    )


def _begun(progress: Progress, world: World) -> Course | None:
    if progress.course is not None:
        return progress.course
    takes_over = progress.had_lease is False and world.lease is not None and progress.leader is not None
    if takes_over and world.lease is not None:
        kind = EventKind.SWITCHOVER if progress.is_planned or _is_planned(world) else EventKind.FAILOVER
        since = progress.leaderless_since or world.sightings.leaderless_since or world.lease.sent_at
        course = Course(kind=kind, other=progress.leader or "", began_at=min(since, world.lease.sent_at))
        return course.with_step("acquired", world.lease.sent_at)
    if world.sightings.demoting is not None and progress.had_lease:
        return Course(kind=EventKind.HANDED_OVER, other=world.sightings.demoting, began_at=world.sightings.demoting_since or world.now)
    return None


def _is_planned(world: World) -> bool:
    request = world.cluster.failover if world.cluster is not None else None
    return request is not None and request.leader is not None and request.scheduled_at is None


def _taking_over(course: Course, world: World, now: Instant) -> Course:
    course = course.with_step("promoted", _ended_at(course, world, JobKind.PROMOTE))
    if world.lease is not None and world.node.is_primary and world.node.server is ServerState.RUNNING:
        return course.with_step("writable", world.node.read_at).with_step("published", now)
    return course


def _handing_over(course: Course, world: World, released_at: Instant | None) -> Course:
    course = course.with_step("checkpoint", _ended_at(course, world, JobKind.CHECKPOINT))
    course = course.with_step("drained", _ended_at(course, world, JobKind.DRAIN))
    course = course.with_step("not_drained", _ended_at(course, world, JobKind.DRAIN, is_done=False))
    course = course.with_step("stopped", _ended_at(course, world, JobKind.STOP))
    if world.lease is None:
        course = course.with_step("released", released_at if released_at is not None else world.now)
    return course


def _ended_at(course: Course, world: World, kind: JobKind, *, is_done: bool = True) -> Instant | None:
    outcome = world.outcome(kind)
    return outcome.ended_at if outcome is not None and outcome.is_done is is_done and outcome.ended_at >= course.began_at else None


def _is_complete(course: Course) -> bool:
    return course.has("published") or (course.has("stopped") and course.has("released"))


def _is_over(course: Course, world: World, now: Instant) -> bool:
    """Tell whether it will not come to its end: the lease is lost again, or the demotion was called off."""
    if now - course.began_at > _MOST_S:
        return True
    if course.kind is EventKind.HANDED_OVER:
        return world.lease is not None and world.sightings.demoting is None
    return world.lease is None


def _happening(course: Course, world: World) -> Happening:
    """Say how long each step took since the one before it, in the order in which they were done."""
    data: list[tuple[str, str | int | bool]] = [("candidate" if course.kind is EventKind.HANDED_OVER else "previous", course.other)]
    data.append(("began", (world.wall - timedelta(seconds=world.now - course.began_at)).isoformat(timespec="milliseconds")))
    before = course.began_at
    for step, at in sorted(course.steps, key=lambda one: one[1]):
        data.append((f"{step}_ms", round((at - before) * 1000)))
        before = at
    data.append(("total_ms", round((before - course.began_at) * 1000)))
    role = "primary" if course.kind is not EventKind.HANDED_OVER else "demoted"
    return Happening(kind=course.kind, role=role, data=tuple(data))
