"""What the proxies showed when they were last asked, in words and figures."""

from collections.abc import Iterable, Iterator
from typing import Final

from hacore.interfaces import Metric
from hacore_router_haproxy.proxy import Proxy, Sight
from hacore_router_haproxy.site import Keeper

_SILENT: Final = "does not answer"


def words(sight: Sight | None, primary_backend: str) -> str:
    """Return where a proxy leads writes."""
    if sight is None:
        return _SILENT
    primaries = sight.backends.get(primary_backend)
    if primaries is None:
        return f"no backend {primary_backend}"
    states = ", ".join(f"{server.name} {server.status}" for server in primaries.servers.values())
    return f"token {primaries.token}: {states}"


def samples(proxies: Iterable[Proxy], keeper: Keeper | None) -> Iterator[Metric]:
    """Return what the proxies showed last, and what was done."""
    for proxy in proxies:
        place = (("proxy", proxy.place),)
        yield Metric(name="haproxy_up", help="Whether the proxy answered.", value=float(proxy.sight is not None), labels=place)
        yield Metric(name="haproxy_changes", help="Commands that changed it.", value=proxy.changes, labels=place)
        yield Metric(name="haproxy_cuts", help="Servers and sessions cut off.", value=proxy.cuts, labels=place)
        for backend, shown in (proxy.sight.backends if proxy.sight is not None else {}).items():
            of = (*place, ("backend", backend))
            yield Metric(name="haproxy_waiting", help="Connections in the queue of the backend.", value=shown.queue, labels=of)
            for server in shown.servers.values():
                which = (*of, ("server", server.name))
                yield Metric(name="haproxy_usable", help="Whether it gets new connections.", value=float(server.is_usable), labels=which)
                yield Metric(name="haproxy_sessions", help="Open sessions.", value=server.sessions, labels=which)
    if keeper is not None:
        yield Metric(name="haproxy_reloads", help="Reloads with a new configuration.", value=keeper.reloads)
        refused = "Configurations that HAProxy refused."
        yield Metric(name="haproxy_refusals", help=refused, value=keeper.refusals)
