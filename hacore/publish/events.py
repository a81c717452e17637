"""What has happened between two turns, told by comparing them: a pure fold over the worlds of all turns.

The field's rules of its callbacks (interface reference 8.4) hold here: no event of the server during a bootstrap; where the role changes
with a start or a restart, only the change of the role is told; a stop inside a restart is none. It knows no listener and no clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from hacore.model.clock import Instant
from hacore.model.events import EventKind
from hacore.model.jobs import JobKind, Outcome
from hacore.model.node import FenceState, ServerState
from hacore.model.steps import EndServer, Reload, ReloadServer
from hacore.model.world import Decision, World
from hacore.publish.words import role_word

Data = tuple[tuple[str, str | int | bool], ...]

_DOWN: Final = frozenset({ServerState.STOPPED, ServerState.ORPHANED})
_SERVER_ROLES: Final = frozenset({"primary", "replica", "demoted"})
_QUIET_JOBS: Final = frozenset(
    {JobKind.BOOTSTRAP, JobKind.START, JobKind.RESTART, JobKind.RESTORE, JobKind.STOP}
)  # their end is told, not their middle


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One event before it gets its number and its time."""

    kind: EventKind
    role: str
    data: Data = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was told so far: the memory between two turns."""

    is_first: bool = True
    role: str | None = None  # of the server, as the listeners know it
    running: bool = False
    came_up: EventKind | None = None  # a start or restart has ended and the server was not seen since
    ended: bool = False  # the agent itself has ended the server's processes
    had_lease: bool = False
    leader: str | None = None  # the last that was seen, also while there is none
    pause: bool = False
    config: str | None = None
    dcs_lost: bool = False
    fenced_token: int | None = None
    outcomes: tuple[tuple[JobKind, Instant], ...] = field(default=())


def narrate(told: Told, world: World, decision: Decision) -> tuple[Told, tuple[Happening, ...]]:
    """Return what is to be told after a turn, and what was told by then.

    :param world: of the turn, with the lease as it is after the steps of ``decision``.
    """
    if told.is_first:
        told = _first(world)
    story = _Story(told, world, decision)
    happenings = tuple(story.tell())
    return story.told, happenings


def _first(world: World) -> Told:
    """Begin: what stands already is not news."""
    word = role_word(world)
    view = world.cluster
    is_down = world.node.server in _DOWN
    return Told(
        is_first=False,
        role=word if is_down and word in _SERVER_ROLES else None,
        had_lease=world.lease is not None,
        leader=view.lock.holder if view and view.lock else None,
        pause=world.policy.pause,
        config=view.config if view else None,
        dcs_lost=view is None,
        fenced_token=_fired_token(world.node.fence),
        outcomes=tuple((outcome.kind, outcome.ended_at) for outcome in world.outcomes),
    )


@dataclass(slots=True)
class _Story:
    """One turn's part of the story."""

    told: Told
    world: World
    decision: Decision

    def tell(self) -> Iterator[Happening]:
        yield from self._outcomes()
        yield from self._server()
        if any(isinstance(step, EndServer) for step in self.decision.steps):
            self.told = replace(self.told, ended=True)  # seen by the next turn
        yield from self._reloads()
        yield from self._fence()
        yield from self._cluster()
        self.told = replace(self.told, had_lease=self.world.lease is not None)

    def _happening(self, kind: EventKind, role: str | None = None, **data: str | int | bool) -> Happening:
        return Happening(kind=kind, role=role or role_word(self.world), data=tuple(data.items()))

    # --- work --------------------------------------------------------------------------------------------------------

    def _outcomes(self) -> Iterator[Happening]:
        fresh = [one for one in self.world.outcomes if (one.kind, one.ended_at) not in self.told.outcomes]
        self.told = replace(self.told, outcomes=tuple((one.kind, one.ended_at) for one in self.world.outcomes))
        for outcome in sorted(fresh, key=lambda one: one.ended_at):
            yield from self._done(outcome) if outcome.is_done else self._failed(outcome)

    def _done(self, outcome: Outcome) -> Iterator[Happening]:
        match outcome.kind:
            case JobKind.STOP:
                if self.told.running:
                    yield self._happening(EventKind.STOPPED, self._role_at_stop())
                self.told = replace(self.told, running=False, came_up=None)
            case JobKind.START:
                self.told = replace(self.told, running=False, came_up=EventKind.STARTED)
            case JobKind.RESTART:
                self.told = replace(self.told, running=False, came_up=EventKind.RESTARTED)
            case JobKind.REWIND:
                yield self._happening(EventKind.REWOUND, took_ms=_milliseconds(outcome.took_s))
            case JobKind.RESTORE:
                self.told = replace(self.told, came_up=EventKind.STARTED)
                yield self._happening(EventKind.RESTORED, took_ms=_milliseconds(outcome.took_s))
            case JobKind.BOOTSTRAP:
                self.told = replace(self.told, came_up=EventKind.STARTED)
                yield self._happening(EventKind.BOOTSTRAPPED, took_ms=_milliseconds(outcome.took_s))
            case JobKind.CREATE_REPLICA:
                yield self._happening(EventKind.REPLICA_CREATED, took_ms=_milliseconds(outcome.took_s))
            case _:
                pass  # its effect is seen in the server

    def _failed(self, outcome: Outcome) -> Iterator[Happening]:
        yield self._happening(EventKind.JOB_FAILED, job=str(outcome.kind), error=outcome.error or "")
        gave_up = self.told.had_lease and self.world.lease is None and outcome.kind in {JobKind.START, JobKind.RESTART}
        if gave_up and self.told.role == "primary":
            yield self._role_changed("demoted")

    def _role_at_stop(self) -> str:
        role = self.told.role or role_word(self.world)
        return "demoted" if role == "primary" and not self.told.had_lease else role

    # --- server ------------------------------------------------------------------------------------------------------

    def _server(self) -> Iterator[Happening]:
        job, server = self.world.job, self.world.node.server
        if job is not None and job.kind in _QUIET_JOBS:
            return
        if server is ServerState.RUNNING and self.world.node.role is not None:
            yield from self._up()
        elif server in _DOWN and self.told.running:
            yield from self._down()

    def _up(self) -> Iterator[Happening]:
        role = role_word(self.world)
        if self.told.role is not None and role != self.told.role:
            yield self._role_changed(role)
        elif self.told.came_up is not None:
            yield self._happening(self.told.came_up)
        elif not self.told.running:
            yield self._happening(EventKind.STARTED, adopted=True)
        self.told = replace(self.told, role=role, running=True, came_up=None, ended=False)

    def _down(self) -> Iterator[Happening]:
        ended = self.told.ended or self._has_fired()
        yield self._happening(EventKind.STOPPED if ended else EventKind.CRASHED, self._role_at_stop())
        self.told = replace(self.told, running=False, ended=False)

    def _role_changed(self, role: str) -> Happening:
        previous, self.told = self.told.role, replace(self.told, role=role)
        return self._happening(EventKind.ROLE_CHANGED, role, previous=previous or "")

    def _reloads(self) -> Iterator[Happening]:
        if self.told.running and any(isinstance(step, ReloadServer | Reload) for step in self.decision.steps):
            yield self._happening(EventKind.RELOADED)

    # --- fence -------------------------------------------------------------------------------------------------------

    def _has_fired(self) -> bool:
        token = _fired_token(self.world.node.fence)
        return token is not None and token != self.told.fenced_token

    def _fence(self) -> Iterator[Happening]:
        if self._has_fired():
            yield self._happening(EventKind.FENCED)
        self.told = replace(self.told, fenced_token=_fired_token(self.world.node.fence))

    # --- cluster -----------------------------------------------------------------------------------------------------

    def _cluster(self) -> Iterator[Happening]:
        view = self.world.cluster
        if view is None:
            if not self.told.dcs_lost:
                yield self._happening(EventKind.DCS_LOST, error=self.world.cluster_error or "")
            self.told = replace(self.told, dcs_lost=True)
            return
        if self.told.dcs_lost:
            yield self._happening(EventKind.DCS_BACK)
        leader = view.lock.holder if view.lock else None
        if leader is not None and leader != self.told.leader:
            yield self._happening(EventKind.LEADER_CHANGED, previous=self.told.leader or "", leader=leader)
        if view.config is not None and view.config != self.told.config:
            yield self._happening(EventKind.CONFIG_CHANGED)
        if self.world.policy.pause is not self.told.pause:
            yield self._happening(EventKind.PAUSED if self.world.policy.pause else EventKind.RESUMED)
        self.told = replace(
            self.told,
            dcs_lost=False,
            leader=leader or self.told.leader,
            config=view.config if view.config is not None else self.told.config,
            pause=self.world.policy.pause,
        )


def _fired_token(fence: FenceState) -> int | None:
    if not fence.fired:
        return None
    return -1 if fence.token is None else fence.token


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
