"""When one router is told what: what waits, what was told last, and how that went. It calls nobody and has no thread."""

import time
from dataclasses import dataclass, replace
from typing import Final

from hacore.hookspecs import Route
from hacore.interfaces import Endpoint, RoutingState
from hacore.model.clock import Clock

RECONCILE_S: Final = 30.0
RETRIES_S: Final = (1.0, 2.0, 4.0, 5.0)  # after so many failures; the last goes on: until it answers clients may be led to an old primary
LAG_S: Final = 5.0  # how far standbys lag behind is told so often and not at each change
PROBE_S: Final = 10.0
_TICK_S: Final = 0.001
_NEVER: Final = float("inf")


@dataclass(slots=True)
class Timetable:
    """Instants are of the monotonic clock, but for those in the states."""

    clock: Clock
    looks: bool  # the router tells what the outside shows
    newest: Route | None = None
    told: RoutingState | None = None
    told_at: float = 0.0
    probed_at: float = 0.0
    failures: int = 0  # in a row

    def current(self) -> Route | None:
        """Return what is to be told now: the newest state, without what has been held back for too long."""
        route = self.newest
        if route is None or route.state.hold is None or route.state.hold.ends_at > self.clock.now():
            return route
        return replace(route, state=replace(route.state, hold=None))

    def is_behind(self) -> bool:
        """Tell whether the router was not told yet what it must know."""
        current = self.current()
        return current is not None and (self.told is None or _without_lag(self.told) != _without_lag(current.state))

    def route_due_at(self) -> float:
        """Return when the current state is to be told."""
        route = self.current()
        if route is None:
            return _NEVER
        if self.is_behind():
            return 0.0
        if self.failures:
            return self.told_at + RETRIES_S[min(self.failures, len(RETRIES_S)) - 1]
        state = route.state
        ends_at = _NEVER if state.hold is None else time.monotonic() + max(0.0, state.hold.ends_at - self.clock.now()) + _TICK_S
        if state.valid_until is not None and state.valid_until <= self.clock.now():
            return ends_at  # the loop stands still: what ends with the lease is not put up again
        return min(self.told_at + (RECONCILE_S if _lags(self.told) == _lags(state) else LAG_S), ends_at)

    def due_at(self) -> float:
        """Return when something is to be done."""
        may_look = self.looks and self.newest is not None and self.told is not None
        return min(self.route_due_at(), self.probed_at + PROBE_S if may_look else _NEVER)

    def was_told(self, state: RoutingState, *, is_applied: bool) -> None:
        """Note how it went."""
        self.told, self.told_at = state, time.monotonic()
        self.failures = 0 if is_applied else self.failures + 1


def _lags(state: RoutingState | None) -> tuple[int | None, ...]:
    return () if state is None else tuple(one.lag_bytes for one in (state.me, *state.members, *state.standbys))


def _without_lag(state: RoutingState) -> RoutingState:
    def plain(endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
        return tuple(replace(one, lag_bytes=None) for one in endpoints)

    (me,), leader = plain((state.me,)), plain((state.leader,)) if state.leader is not None else ()
    return replace(
        state, revision=0, me=me, leader=leader[0] if leader else None, standbys=plain(state.standbys), members=plain(state.members)
    )
