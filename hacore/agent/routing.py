"""Tells routers of each turn and each renewal. Implements :class:`hacore.ports.Publisher`; the threads of the routers do the work."""

from dataclasses import replace

from hacore.hookspecs import PluginContext, Revoke, Route
from hacore.interfaces import RoutingState
from hacore.model.clock import Clock, Instant
from hacore.model.steps import WriteOwn
from hacore.model.world import Decision, World
from hacore.plugins.routers import Routers
from hacore.publish.routing import lease_ended, next_state, renewed


class RoutingNews:
    """Used by the loop's thread alone."""

    def __init__(self, routers: Routers, clock: Clock, context: PluginContext) -> None:
        self._routers, self._clock, self._context = routers, clock, context
        self._state: RoutingState | None = None
        self._world: World | None = None  # of the turn before
        self._token: int | None = None  # of the lease that is held, as far as routers know

    def published(self, world: World, decision: Decision) -> None:
        """Tell the state after a turn."""
        if world.lease is None:
            self.lease_ends()
        self._world = world
        self._token = world.lease.token if world.lease is not None else None
        self._context = replace(self._context, policy=world.policy)
        written = next((step.own for step in decision.steps if isinstance(step, WriteOwn)), None)
        state = next_state(self._state, world, written=written if world.lease is not None else None)
        if state is not None and state is not self._state:
            self._tell(state)

    def lease_ends(self) -> None:
        """Take back what leads here; asked again it does nothing."""
        if self._token is None:
            return
        request, self._token = Revoke(context=self._context, token=self._token), None
        ended = lease_ended(self._state, self._world, self._clock.now()) if self._state is not None else None
        if ended is not None and ended.leader is not None and ended.leader.member == ended.me.member:
            self._tell(ended)
            return
        self._state = ended
        self._routers.revoke(request, self._route(ended))

    def lease_renewed(self, fence_at: Instant) -> None:
        """Tell the new instant at which the fence begins."""
        if self._state is not None and self._state.valid_until is not None:
            self._tell(renewed(self._state, fence_at, self._clock.now()))

    def _tell(self, state: RoutingState) -> None:
        self._state = state
        self._routers.tell(Route(context=self._context, state=state))

    def _route(self, state: RoutingState | None) -> Route | None:
        return None if state is None else Route(context=self._context, state=state)
