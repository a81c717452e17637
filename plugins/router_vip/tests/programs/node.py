"""An agent that is nothing but its router, on the host of a node: ``node.py MEMBER``, the section and then commands as lines of JSON.

It builds the plugin and calls the hooks as the core does, as an unprivileged user with the capabilities that the test has given it.
"""

import json
import sys
import time
from dataclasses import replace
from typing import Any

from hacore.hookspecs import PluginContext, Probe, Revoke, Route
from hacore.interfaces import Applied, Degraded, Endpoint, Observed, RoutingState
from hacore.model.clock import BootClock
from hacore.plugins.registry import Plugin, Registry, Wanted
from hacore.plugins.reports import Reports
from hacore.testing.conformance.plugin import PluginUnderTest

CONTEXT = PluginContext(scope="test", namespace="/test", member=sys.argv[1], clock=BootClock())


class StallingClock(BootClock):
    """A clock after whose first look the process stands still."""

    def __init__(self, stalls_s: float) -> None:
        self._stalls_s = stalls_s

    def now(self) -> float:
        found, stalls_s, self._stalls_s = super().now(), self._stalls_s, 0.0
        time.sleep(stalls_s)
        return found


def state(leads: bool, valid_s: float | None, token: int, revision: int) -> RoutingState:
    """A state without a lease is of a follower; one with a lease that does not lead, of a leader that takes no writes now."""
    me, other = Endpoint(member=sys.argv[1], host="10.0.0.1", port=5432), Endpoint(member="other", host="10.0.0.2", port=5432)
    known = RoutingState(token=token, revision=revision, me=me, leader=me if leads else other if valid_s is None else None, leads=leads)
    return known if valid_s is None else replace(known, valid_until=CONTEXT.clock.now() + valid_s)


def carry_out(plugin: Plugin, command: dict[str, Any]) -> object:
    match command.pop("do"):
        case "route":
            context = replace(CONTEXT, clock=StallingClock(command.pop("stalls_s", 0.0)))
            request = Route(context=context, state=state(**command))
            return plugin.calls.call("hacore_route", Applied, Degraded, limit_s=10, request=request)
        case "revoke":
            return plugin.calls.call("hacore_revoke", Applied, Degraded, limit_s=1, request=Revoke(context=CONTEXT, token=1))
        case "probe":
            return plugin.calls.call("hacore_route_probe", Observed, limit_s=1, request=Probe(context=CONTEXT))
        case "metrics":
            return [(one.name, dict(one.labels), one.value) for one in Reports(every_s=0).metrics([plugin])[plugin.name]]
        case "status":
            return Reports(every_s=0).status([plugin])[plugin.name]
        case other:
            raise ValueError(other)


def main() -> None:
    section = json.loads(sys.stdin.readline())
    registry = Registry()
    registry.update([Wanted(kind="router", name="vip", settings=PluginUnderTest(kind="router", name="vip", section=section).load())])
    (plugin,) = registry.every()
    for line in sys.stdin:
        answer = carry_out(plugin, json.loads(line))
        fields = {name: getattr(answer, name) for name in ("detail", "reason", "target") if hasattr(answer, name)}
        print(json.dumps([type(answer).__name__, fields or answer]), flush=True)
    registry.close()


main()
