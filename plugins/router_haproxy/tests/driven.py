"""A plugin that a test drives by its hooks, as an agent does."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from hacore.hookspecs import Drain, PluginContext, Probe, Revoke, Route, Validate
from hacore.interfaces import Applied, Degraded, Held, Observed, RoutingState
from hacore.model.clock import BootClock
from hacore.postgres.job import JobHandle
from hacore_router_haproxy.plugin import HaproxyPlugin
from hacore_router_haproxy.schema import HaproxySchema


class Agent:
    """The plugin of one node."""

    def __init__(self, section: Mapping[str, Any], member: str = "a") -> None:
        self.context = PluginContext(scope="demo", namespace="/service", member=member, clock=BootClock())
        self.settings = HaproxySchema().load(dict(section))
        self.plugin = HaproxyPlugin(self.settings)
        self._revision = 0

    def route(self, state: RoutingState) -> Applied | Degraded:
        self._revision += 1
        return self.plugin.hacore_route(Route(context=self.context, state=dataclasses.replace(state, revision=self._revision)))

    def drain(self, state: RoutingState, *, ends_in_s: float = 5.0) -> Held | Degraded | None:
        ends_at = self.context.clock.now() + ends_in_s
        request = Drain(context=self.context, switchover_id="x", token=state.token, candidate=None, ends_at=ends_at, state=state)
        return self.plugin.hacore_drain(request, JobHandle())

    def revoke(self, token: int) -> Applied | Degraded:
        return self.plugin.hacore_revoke(Revoke(context=self.context, token=token))

    def probe(self) -> Observed:
        return self.plugin.hacore_route_probe(Probe(context=self.context))

    def faults(self, *, online: bool = True) -> tuple[str, ...]:
        return tuple(self.plugin.hacore_validate(Validate(context=self.context, online=online)))

    def samples(self) -> dict[tuple[str, ...], float]:
        """Each sample's value, by its name and the last of its labels."""
        return {(one.name, *(value for _, value in one.labels[1:])): one.value for one in self.plugin.hacore_metrics()}
