"""Telling one router where traffic shall go: a thread of its own, on which the newest state wins. It knows no outside."""

import logging
import threading
import time
from dataclasses import dataclass, replace
from typing import Final, cast

from hacore.errors import HacoreError, JobCancelledError
from hacore.hookspecs import Drain, PluginContext, Probe, Revoke, Route
from hacore.interfaces import Applied, Degraded, Endpoint, Held, Observed, RouterTraits, RoutingState
from hacore.model.clock import Clock, Instant
from hacore.plugins.registry import Plugin
from hacore.postgres.job import JobHandle

logger = logging.getLogger(__name__)

RECONCILE_S: Final = 30.0
_FIRST_RETRY_S: Final = 1.0  # then twice as long each time, up to RECONCILE_S
_LAG_S: Final = 5.0  # how far standbys lag behind is told so often and not at each change
_PROBE_S: Final = 10.0
_ROUTE_LIMIT_S: Final = 10.0
_PROMPT_S: Final = 1.0
_TICK_S: Final = 0.001
_LATE_S: Final = 1.0  # how long after its end a drain is abandoned


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterStatus:
    """What one router was told and how it went, for people and metrics."""

    name: str
    layer: str
    problem: str | None = None  # why the outside is not as it shall be
    applied_at: Instant | None = None  # when it last was
    target: str | None = None  # where the outside leads writes, as the router last saw it ...
    is_on_target: bool | None = None  # ... and whether that is the leader; ``None``: it does not tell


class RouterThread:
    """One router. All methods may be called from any thread and return at once, but for ``close``."""

    def __init__(self, plugin: Plugin, traits: RouterTraits, clock: Clock) -> None:
        self.plugin, self.traits = plugin, traits
        self._clock = clock
        self._changed = threading.Condition()
        self._newest: Route | None = None
        self._told: RoutingState | None = None
        self._told_at = 0.0  # of the monotonic clock, as all instants here but those that a router is told
        self._probed_at = 0.0
        self._failures = 0
        self._revoke: Revoke | None = None
        self._is_busy = self._is_closed = False
        self._thread: threading.Thread | None = None
        self._status = RouterStatus(name=plugin.name, layer=str(traits.layer))

    @property
    def status(self) -> RouterStatus:
        """Return how the router is."""
        with self._changed:
            return self._status

    def tell(self, route: Route) -> None:
        """Take the place of the state that waits, if one does."""
        with self._changed:
            self._newest = route
            self._start()

    def revoke(self, request: Revoke, without: Route | None) -> None:
        """Take back what leads to this node, before anything that waits.

        :param without: what shall stand after it, in the place of a state that still leads here.
        """
        with self._changed:
            self._revoke, self._newest = request, without
            self._start()

    def drain(self, request: Drain, job: JobHandle) -> str | None:
        """Hold new work back; return why it does not. Waits for the answer, on the thread of ``job``.

        :raises JobCancelledError: the work was cancelled.
        """
        inner, limit_s = JobHandle(), max(0.0, request.ends_at - self._clock.now()) + _LATE_S
        call = self.plugin.calls.call
        try:
            answer = call(
                "hacore_drain", Held, Degraded, limit_s=limit_s, is_cancelled=lambda: job.is_cancelled, request=request, job=inner
            )
        except JobCancelledError:
            raise
        except HacoreError as error:
            return str(error)
        finally:
            inner.cancel("the time for it is over")  # ends what the plugin still runs
        return answer.reason if isinstance(answer, Degraded) else None

    def close(self, timeout_s: float) -> bool:
        """Carry out what waits, for at most ``timeout_s``, and end; tell whether all of it was carried out."""
        until = time.monotonic() + timeout_s
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._thread is None or not (self._has_news() or self._is_busy), until - time.monotonic())

    def _start(self) -> None:
        if self._is_closed:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=f"router {self.plugin.name}", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    # --- its own thread --------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()
                if not self._wait():
                    return
                self._is_busy = True
                request, self._revoke, route = self._revoke, None, self._current()
                is_due = self._route_due_at() <= time.monotonic()
            if request is not None:
                self._take_back(request)
            elif route is not None and is_due:
                self._apply(route)
            elif route is not None:
                self._probe(route.context)

    def _wait(self) -> bool:
        """Wait until something is to be done; ``False``: it is the end."""
        while self._revoke is None:
            now = time.monotonic()
            if self._is_closed and not self._has_news():
                return False
            due_at = min(self._route_due_at(), self._probe_due_at())
            if due_at <= now:
                return True
            self._changed.wait(min(RECONCILE_S, due_at - now))
        return True

    def _has_news(self) -> bool:
        return self._revoke is not None or (self._newest is not None and self._failures == 0 and not self._is_told_for_traffic())

    def _is_told_for_traffic(self) -> bool:
        current = self._current()
        return self._told is not None and current is not None and _without_lag(self._told) == _without_lag(current.state)

    def _current(self) -> Route | None:
        """Return what is to be told now: the newest state, without what has been held back for too long."""
        route = self._newest
        if route is None or route.state.hold is None or route.state.hold.ends_at > self._clock.now():
            return route
        return replace(route, state=replace(route.state, hold=None))

    def _route_due_at(self) -> float:
        route = self._current()
        if route is None:
            return float("inf")
        state = route.state
        if not self._is_told_for_traffic():
            return 0.0
        hold_ends_at = self._hold_ends_at(state)
        if self._failures:
            return self._told_at + min(RECONCILE_S, _FIRST_RETRY_S * 2.0 ** (self._failures - 1))
        if state.valid_until is not None and state.valid_until <= self._clock.now():
            return hold_ends_at  # the loop stands still; what ends with the lease is not put up again
        after_s = RECONCILE_S if _lags(self._told) == _lags(state) else _LAG_S
        return min(self._told_at + after_s, hold_ends_at)

    def _hold_ends_at(self, state: RoutingState) -> float:
        return float("inf") if state.hold is None else time.monotonic() + max(0.0, state.hold.ends_at - self._clock.now()) + _TICK_S

    def _probe_due_at(self) -> float:
        is_asked = self._newest is not None and self._told is not None and self.plugin.calls.has("hacore_route_probe")
        return self._probed_at + _PROBE_S if is_asked else float("inf")

    def _apply(self, route: Route) -> None:
        problem: str | None
        try:
            answer = self.plugin.calls.call("hacore_route", Applied, Degraded, limit_s=_ROUTE_LIMIT_S, request=route)
            problem = answer.reason if isinstance(answer, Degraded) else None
        except HacoreError as error:
            problem = str(error)
        with self._changed:
            self._told, self._told_at = route.state, time.monotonic()
            self._failures = 0 if problem is None else self._failures + 1
        self._note(problem, is_applied=problem is None)

    def _take_back(self, request: Revoke) -> None:
        with self._changed:
            self._told = None
        if not self.plugin.calls.has("hacore_revoke"):
            return
        try:
            answer = self.plugin.calls.call("hacore_revoke", Applied, Degraded, limit_s=_PROMPT_S, request=request)
        except HacoreError as error:
            self._note(str(error), is_applied=False)
            return
        if isinstance(answer, Degraded):
            self._note(answer.reason, is_applied=False)

    def _probe(self, context: PluginContext) -> None:
        with self._changed:
            self._probed_at, told = time.monotonic(), self._told
        seen: Observed | None = None
        try:
            answer = self.plugin.calls.call("hacore_route_probe", Observed, limit_s=_PROMPT_S, request=Probe(context=context))
            seen = cast("Observed | None", answer)
        except HacoreError as error:
            logger.debug("router does not tell what the outside shows", extra={"plugin": self.plugin.name, "error": str(error)})
        leader = told.leader if told is not None else None
        with self._changed:
            target = seen.target if seen is not None else None
            is_on_target = None if seen is None else _is_target(target, leader)
            self._status = replace(self._status, target=target, is_on_target=is_on_target)

    def _note(self, problem: str | None, *, is_applied: bool) -> None:
        """Say once what has changed, and keep it for those who ask."""
        with self._changed:
            before, name = self._status, self.plugin.name
            applied_at = self._clock.now() if is_applied else before.applied_at
            self._status = replace(before, problem=problem, applied_at=applied_at)
        if problem is not None and problem != before.problem:
            logger.warning("traffic is not routed as it shall be", extra={"plugin": name, "reason": problem})
        elif problem is None and before.problem is not None:
            logger.info("traffic is routed as it shall be again", extra={"plugin": name})


def _is_target(target: str | None, leader: Endpoint | None) -> bool:
    return target is None if leader is None else target in {leader.member, f"{leader.host}:{leader.port}"}


def _lags(state: RoutingState | None) -> tuple[int | None, ...]:
    return () if state is None else tuple(one.lag_bytes for one in (state.me, *state.members, *state.standbys))


def _without_lag(state: RoutingState) -> RoutingState:
    def plain(endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
        return tuple(replace(one, lag_bytes=None) for one in endpoints)

    (me,), leader = plain((state.me,)), plain((state.leader,)) if state.leader is not None else ()
    return replace(
        state, revision=0, me=me, leader=leader[0] if leader else None, standbys=plain(state.standbys), members=plain(state.members)
    )
