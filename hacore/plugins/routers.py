"""Kind ``router``: all routers of this node are told where traffic shall go, each on a thread of its own (``router_thread``)."""

import logging
from collections.abc import Iterable, Mapping
from typing import Final

from hacore.errors import PluginError, PluginUnavailableError
from hacore.hookspecs import Drain, Revoke, Route
from hacore.interfaces import Layer, RouterTraits
from hacore.model.clock import Clock
from hacore.model.steps import DrainTraffic
from hacore.plugins.calling import isolated
from hacore.plugins.declaration import TRAITS_HOOK
from hacore.plugins.finding import Found, find
from hacore.plugins.lanes import run_once
from hacore.plugins.registry import Plugin
from hacore.plugins.router_thread import RouterStatus, RouterThread
from hacore.postgres.job import JobHandle

logger = logging.getLogger(__name__)

_LIMIT_S: Final = 10.0
_ORDER: Final = (Layer.POOLER, Layer.PROXY, Layer.ADDRESS, Layer.REGISTRY)  # in which traffic is drained


def traits_of(found: Found) -> RouterTraits:
    """Return what a router says that it is.

    :raises PluginError: it says something else.
    """
    what = f"{found.declared}: {TRAITS_HOOK}"
    answer: object = run_once(found.name, lambda: isolated(what, getattr(found.plugin, TRAITS_HOOK)), what=what, limit_s=_LIMIT_S)
    if not isinstance(answer, RouterTraits):
        raise PluginError(f"{what} returned {type(answer).__name__}, want RouterTraits")
    return answer


def traits_by_name(names: Iterable[str]) -> dict[str, RouterTraits]:
    """Return the traits of installed routers.

    :raises PluginError: one cannot be had, or says something else.
    """
    return {name: traits_of(find("router", name)) for name in names}


class Routers:
    """All routers of this node. What they are told never blocks who tells it, and one that hangs or fails holds up no other."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._threads: tuple[RouterThread, ...] = ()
        self._newest: Route | None = None

    def use(self, plugins: Iterable[Plugin], traits: Mapping[str, RouterTraits]) -> None:
        """Take the place of the routers so far. One that is new, or was built anew, is told at once."""
        old = {thread.plugin.name: thread for thread in self._threads}
        self._threads = tuple(self._keep_or_make(old.pop(plugin.name, None), plugin, traits[plugin.name]) for plugin in plugins)
        for thread in old.values():
            thread.close(0.0)

    def tell(self, route: Route) -> None:
        """Tell every router the newest state."""
        self._newest = route
        for thread in self._threads:
            thread.tell(route)

    def revoke(self, request: Revoke, without: Route | None) -> None:
        """Let every router take back at once what leads to this node.

        :param without: the state that stands after it.
        """
        self._newest = without
        for thread in self._threads:
            thread.revoke(request, without)

    def drain(self, step: DrainTraffic, job: JobHandle) -> None:
        """Let the routers that can hold new work back do so, the one nearest to the client first. Runs in the thread of the job.

        :raises PluginUnavailableError: not all of them do.
        :raises JobCancelledError: the work was cancelled.
        """
        newest, problems = self._newest, list[str]()
        ends_at = self._clock.now() + step.timeout_s
        threads = sorted((one for one in self._threads if one.traits.drains), key=lambda one: _ORDER.index(one.traits.layer))
        if newest is None:
            raise PluginUnavailableError("routers were told nothing yet")
        for thread in threads:
            state = newest.state
            request = Drain(
                context=newest.context,
                switchover_id=step.switchover_id,
                token=state.token,
                candidate=step.candidate,
                ends_at=ends_at,
                state=state,
            )
            job.progress(f"drains {thread.plugin.name}")
            problem = thread.drain(request, job) if self._clock.now() < ends_at else "no time was left"
            if problem is not None:
                problems.append(f"{thread.plugin.name}: {problem}")
        if problems:
            raise PluginUnavailableError(f"not all routers hold work back: {'; '.join(problems)}")

    def status(self) -> tuple[RouterStatus, ...]:
        """Return how each router is, in their configured order."""
        return tuple(thread.status for thread in self._threads)

    def close(self, timeout_s: float) -> None:
        """Carry out what waits, for at most ``timeout_s`` in all, and tell nobody anything any more."""
        threads, self._threads = self._threads, ()
        until = self._clock.now() + timeout_s
        for thread in threads:
            if not thread.close(max(0.0, until - self._clock.now())):
                logger.warning("router was not told everything before the end", extra={"plugin": thread.plugin.name})

    def _keep_or_make(self, old: RouterThread | None, plugin: Plugin, traits: RouterTraits) -> RouterThread:
        if old is not None and old.plugin is plugin:
            return old
        if old is not None:
            old.close(0.0)
        made = RouterThread(plugin, traits, self._clock)
        if self._newest is not None:
            made.tell(self._newest)
        return made
