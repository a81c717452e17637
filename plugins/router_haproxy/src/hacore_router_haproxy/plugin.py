"""The hooks of the HAProxy router."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from hacore.errors import PluginUnavailableError
from hacore.hookspecs import Drain, PluginContext, Probe, Revoke, Route, RouterPlugin, Validate, hookimpl
from hacore.http.together import Unanswered
from hacore.interfaces import (
    Applied,
    Degraded,
    Endpoint,
    Held,
    Hold,
    Job,
    Layer,
    Metric,
    Observed,
    RouterTraits,
    RoutingState,
    SectionChecker,
)
from hacore.model.clock import Clock, Instant
from hacore_router_haproxy import plan, telling, wire
from hacore_router_haproxy.proxies import Proxies
from hacore_router_haproxy.proxy import Proxy, Sight
from hacore_router_haproxy.settings import HaproxySettings
from hacore_router_haproxy.site import Keeper

_ROUTE_S: Final = 9.0  # of the 10 s that the core gives
_KEEP_S: Final = 5.0  # of these for the configuration
_TURN_S: Final = 1.0  # beside loop_wait, until a node has read what stands in the store
_PROMPT_S: Final = 0.8  # of 1 s


class HaproxyPlugin(RouterPlugin):
    """Kind ``router``, section ``haproxy``: one HAProxy or several, by their runtime APIs."""

    def __init__(self, settings: HaproxySettings) -> None:
        self._settings = settings
        self._proxies = Proxies(settings)
        self._keeper = Keeper(settings, settings.config, next(iter(self._proxies))) if settings.config is not None else None
        self._told: RoutingState | None = None  # last; not for longer than until this node's lease ends
        self._members: dict[str, str] = {}  # by the names of their servers

    @staticmethod
    @hookimpl
    def hacore_config_schema() -> type[SectionChecker]:
        """Return the schema of the section."""
        from hacore_router_haproxy.schema import HaproxySchema  # noqa: PLC0415 - the agent does not load the schema's library

        return HaproxySchema

    @staticmethod
    @hookimpl
    def hacore_router_traits() -> RouterTraits:
        """Return what HAProxy is. That it drains is a matter of its configuration, see the setting ``hold``."""
        return RouterTraits(layer=Layer.PROXY, drains=True)

    @hookimpl
    def hacore_route(self, request: Route) -> Applied | Degraded:
        """Tell every proxy where writes and reads go, bring the configuration up to date, and tell what was reloaded."""
        state, clock = request.state, request.context.clock
        until = clock.now() + _ROUTE_S
        self._told = state
        self._members = {wire.server_name(one.member): one.member for one in (state.me, *state.members)}
        if self._keeper is None:
            return self._tell(state, request.context, until)
        reloads = self._keeper.reloads
        told = self._tell_if_it_answers(state, request.context, until)  # first: clients must not wait for a reload
        problem = self._keeper.keep(request.context.scope, state, clock=clock, until=clock.now() + _KEEP_S)
        if told is None or self._keeper.reloads != reloads:
            told = self._tell(state, request.context, until)
        problems = [one for one in (problem, told.reason if isinstance(told, Degraded) else None) if one]
        return Degraded(reason="; ".join(problems)) if problems else told

    @hookimpl
    def hacore_drain(self, request: Drain, job: Job) -> Held | Degraded | None:
        """Let new connections wait; what is under way may end, for as long as the settings say."""
        if not self._settings.hold:
            return None
        clock, me = request.context.clock, request.state.me
        hold = Hold(switchover_id=request.switchover_id, ends_at=request.ends_at)
        state = replace(request.state, leader=me, leads=True, hold=hold)
        told = self._tell(state, request.context, min(clock.now() + _ROUTE_S, request.ends_at))
        problems = [told.reason] if isinstance(told, Degraded) else []
        left = self._proxies.wait_for_sessions(me.member, clock, min(request.ends_at, clock.now() + self._settings.drain_wait_s), job)
        if left and self._settings.drain_sessions == "cut":
            ends_at = self._proxies.exchange(clock)
            cut = self._answer(self._proxies.of_each(lambda proxy: proxy.cut(me.member, clock=clock, until=ends_at)))
            problems += [cut.reason] if isinstance(cut, Degraded) else []
        ended = "were cut" if self._settings.drain_sessions == "cut" else "are left to the server's stop"
        return Degraded(reason="; ".join(problems)) if problems else Held(detail=f"{left} sessions {ended}" if left else "")

    @hookimpl
    def hacore_revoke(self, request: Revoke) -> Applied | Degraded:
        """Close this node's server and cut its sessions."""
        self._told = None
        clock, member = request.context.clock, request.context.member
        until = clock.now() + _PROMPT_S
        answers = self._proxies.of_each(lambda proxy: proxy.revoke(request.token, member, clock=clock, until=until))
        return self._answer(answers)

    @hookimpl
    def hacore_route_probe(self, request: Probe) -> Observed:
        """Ask every proxy where new writes go. One that was restarted is told at once, and not at the next occasion."""
        clock = request.context.clock
        until = clock.now() + _PROMPT_S
        seen = self._proxies.of_each(lambda proxy: self._look(proxy, clock, until))
        targets = {answer.target for answer in seen.values() if isinstance(answer, Sight)}
        detail = "; ".join(f"{proxy.place}: {telling.words(proxy.sight, self._settings.primary_backend)}" for proxy in seen)
        (target,) = targets if len(targets) == 1 else (None,)
        return Observed(target=self._members.get(target, target) if target is not None else None, detail=detail)

    def _look(self, proxy: Proxy, clock: Clock, until: Instant) -> Sight:
        sight, told = proxy.look(clock=clock, until=until), self._told
        if told is None or not proxy.has_forgotten(told) or (told.valid_until is not None and told.valid_until <= clock.now()):
            return sight
        proxy.route(told, clock=clock, until=until)
        return proxy.look(clock=clock, until=until)

    @hookimpl
    def hacore_validate(self, request: Validate) -> Sequence[str]:
        """Render the configuration; with ``online`` ask every proxy for what the plugin needs of it."""
        found: list[str] = []
        if self._keeper is not None:
            me = Endpoint(member=request.context.member, host="127.0.0.1", port=5432)
            found += self._keeper.faults(request.context.scope, RoutingState(token=0, revision=0, me=me))
        if request.online:
            found += self._online_faults(request.context)
        return tuple(found)

    @hookimpl
    def hacore_metrics(self) -> Sequence[Metric]:
        """Return what the proxies showed last, and what was done."""
        return tuple(telling.samples(self._proxies, self._keeper))

    @hookimpl
    def hacore_status(self) -> Mapping[str, str | int | float | bool | None]:
        """Return where each proxy leads writes."""
        return {proxy.place: telling.words(proxy.sight, self._settings.primary_backend) for proxy in self._proxies}

    @hookimpl
    def hacore_close(self) -> None:
        """End the threads. What the proxies do is left as it is."""
        self._proxies.close()

    def _tell(self, state: RoutingState, context: PluginContext, until: Instant) -> Applied | Degraded:
        ends_at, patience_s = self._proxies.exchange(context.clock, until), context.times.loop_wait_s + _TURN_S
        told = self._proxies.of_each(lambda proxy: proxy.route(state, clock=context.clock, until=ends_at, patience_s=patience_s))
        return self._answer(told)

    def _tell_if_it_answers(self, state: RoutingState, context: PluginContext, until: Instant) -> Applied | Degraded | None:
        try:
            return self._tell(state, context, until)
        except PluginUnavailableError:  # it may be waiting for a configuration to start with
            return None

    def _answer(self, answers: Mapping[Proxy, tuple[str, ...] | Unanswered]) -> Applied | Degraded:
        problems: list[str] = []
        for proxy, answer in answers.items():
            problems += (answer.reason,) if isinstance(answer, Unanswered) else tuple(f"haproxy {proxy.place}: {one}" for one in answer)
        return Degraded(reason="; ".join(problems)) if problems else Applied(detail=f"{len(answers)} proxies" if len(answers) > 1 else "")

    def _online_faults(self, context: PluginContext) -> Iterator[str]:
        until = self._proxies.exchange(context.clock)
        answers = self._proxies.of_each(lambda proxy: proxy.look(clock=context.clock, until=until))
        for proxy, answer in answers.items():
            if isinstance(answer, Unanswered):
                yield answer.reason
                continue
            for backend in plan.backends_of(self._settings):
                if backend not in answer.backends:
                    yield f"haproxy {proxy.place}: no backend {backend}"
            primaries = answer.backends.get(self._settings.primary_backend)
            if primaries is not None and primaries.token is None:
                yield f"haproxy {proxy.place}: backend {self._settings.primary_backend} has no server {wire.MARKER}, see the README"
