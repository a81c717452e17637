"""Telling one router where traffic shall go: a thread of its own, on which the newest state wins. It knows no outside."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, cast

from hacore.errors import HacoreError, JobCancelledError, PluginUnavailableError
from hacore.hookspecs import Drain, PluginContext, Probe, Revoke, Route
from hacore.interfaces import Applied, Degraded, Endpoint, Held, Observed, RouterTraits
from hacore.model.clock import Clock, Instant
from hacore.plugins.registry import Plugin
from hacore.plugins.router_timetable import RECONCILE_S, Timetable
from hacore.postgres.job import JobHandle

logger = logging.getLogger(__name__)

_ROUTE_LIMIT_S: Final = 10.0
_PROMPT_S: Final = 1.0
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
        self._times = Timetable(clock, looks=plugin.calls.has("hacore_route_probe"))
        self._revoke: Revoke | None = None
        self._is_busy = self._is_closed = self._drains = False
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
            self._times.newest = route
            self._start()

    def revoke(self, request: Revoke, without: Route | None) -> None:
        """Take back what leads to this node, before anything that waits.

        :param without: what shall stand after it, in the place of a state that still leads here.
        """
        with self._changed:
            self._revoke, self._times.newest = request, without
            self._start()

    def drain(self, request: Drain, job: JobHandle) -> str | None:
        """Hold new work back; return why it does not. Waits for the answer, on the thread of ``job``; states wait meanwhile.

        :raises JobCancelledError: the work was cancelled.
        """
        inner, call = JobHandle(), self.plugin.calls.call
        try:
            with self._states_wait(request.ends_at):
                limit_s = self._left_s(request.ends_at) + _LATE_S
                answer = call(
                    "hacore_drain", Held, Degraded, limit_s=limit_s, is_cancelled=lambda: job.is_cancelled, request=request, job=inner
                )
        except JobCancelledError:
            raise
        except HacoreError as error:
            return str(error)
        finally:
            inner.cancel("the time for it is over")  # ends what the plugin still runs
        if isinstance(answer, Held) and answer.detail:
            logger.info("router holds new work back", extra={"plugin": self.plugin.name, "detail": answer.detail})
        return answer.reason if isinstance(answer, Degraded) else None

    def close(self, timeout_s: float) -> bool:
        """Carry out what waits, for at most ``timeout_s``, and end; tell whether all of it was carried out."""
        until = time.monotonic() + timeout_s
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not (self._has_news() or self._is_busy), until - time.monotonic())

    @contextmanager
    def _states_wait(self, ends_at: Instant) -> Iterator[None]:
        """Tell nothing meanwhile: a call that waits for another would be late, as if something were wrong with the router.

        :param ends_at: until then what is being told is waited for.
        """
        with self._changed:
            self._drains = True
            self._changed.wait_for(lambda: not self._is_busy, self._left_s(ends_at))
        try:
            yield
        finally:
            with self._changed:
                self._drains = False
                self._changed.notify_all()

    def _left_s(self, ends_at: Instant) -> float:
        return max(0.0, ends_at - self._clock.now())

    def _start(self) -> None:
        if self._is_closed:
            return
        if self._thread is None or not self._thread.is_alive():
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
                request, self._revoke, route = self._revoke, None, self._times.current()
                is_due = self._times.route_due_at() <= time.monotonic()
            if request is not None:
                self._take_back(request)
            elif route is not None and is_due:
                self._apply(route)
            elif route is not None:
                self._probe(route.context)

    def _wait(self) -> bool:
        """Wait until something is to be done; ``False``: it is the end."""
        while self._revoke is None:
            if self._is_closed and not self._has_news():
                return False
            left_s = RECONCILE_S if self._drains else self._times.due_at() - time.monotonic()
            if left_s <= 0:
                return True
            self._changed.wait(min(RECONCILE_S, left_s))
        return True

    def _has_news(self) -> bool:
        return self._revoke is not None or (self._times.failures == 0 and self._times.is_behind())

    def _apply(self, route: Route) -> None:
        problem: str | None
        try:
            answer = self.plugin.calls.call("hacore_route", Applied, Degraded, limit_s=_ROUTE_LIMIT_S, request=route)
            problem = answer.reason if isinstance(answer, Degraded) else None
        except HacoreError as error:
            problem = str(error)
        with self._changed:
            self._times.was_told(route.state, is_applied=problem is None)
        self._note(problem, is_applied=problem is None)

    def _take_back(self, request: Revoke) -> None:
        with self._changed:
            self._times.told = None
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
            self._times.probed_at, told = time.monotonic(), self._times.told
        seen: Observed | None = None
        try:
            answer = self.plugin.calls.call("hacore_route_probe", Observed, limit_s=_PROMPT_S, request=Probe(context=context))
            seen = _seen(answer)
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


def _seen(answer: object) -> Observed | None:
    """Return what a router has seen, if it is what it may be.

    :raises PluginUnavailableError: a place that is no text, which nothing here could compare.
    """
    if not isinstance(answer, Observed) or isinstance(answer.target, str | None):
        return cast("Observed | None", answer)
    raise PluginUnavailableError(f"target is {type(answer.target).__name__}, want str or None")


def _is_target(target: str | None, leader: Endpoint | None) -> bool:
    return target is None if leader is None else target in {leader.member, f"{leader.host}:{leader.port}"}
