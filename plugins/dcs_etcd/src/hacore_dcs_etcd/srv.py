"""Where the servers are, by DNS: SRV records of a domain, under the names that the field asks for, in its order.

The library is loaded where ``srv`` is configured, and nowhere else. Every question ends at its limit. What the records say of priority and
weight is not looked at: any member will do.
"""

from dataclasses import dataclass
from typing import Final

from hacore.errors import DcsUnavailableError
from hacore.model.clock import Clock, Instant

_NAMES: Final = (("etcd-client-ssl", "https"), ("etcd-client", "http"), ("etcd-ssl", "https"), ("etcd", "http"))
_PEER_NAMES: Final = (("etcd-server-ssl", "https"), ("etcd-server", "http"))

_TRY_S: Final = 1.0  # a datagram can be lost
_SHORTEST_S: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What DNS says."""

    urls: tuple[str, ...]
    are_peers: bool  # where members speak to each other: they can be asked for the addresses of clients


def look_up(domain: str, suffix: str | None, name_server: tuple[str, int] | None, *, clock: Clock, until: Instant) -> Named:
    """Ask for the names in turn; the first that has records counts.

    :raises DcsUnavailableError: none has, or nobody said in time.
    """
    import dns.exception  # noqa: PLC0415 - an agent without ``srv`` does without
    import dns.resolver  # noqa: PLC0415

    try:
        resolver = dns.resolver.Resolver(configure=name_server is None)  # anew each time: the machine's list may have changed
        if name_server is not None:
            resolver.nameservers, resolver.port = [name_server[0]], name_server[1]
        resolver.timeout = _TRY_S
        for name, scheme in _NAMES + _PEER_NAMES:
            full = f"_{name}{f'-{suffix}' if suffix else ''}._tcp.{domain}"
            try:
                records = resolver.resolve(full, "SRV", lifetime=max(_SHORTEST_S, until - clock.now()))
            except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
                continue
            urls = tuple(sorted(f"{scheme}://{one.target.to_text(omit_final_dot=True)}:{one.port}" for one in records))
            return Named(urls=urls, are_peers=(name, scheme) in _PEER_NAMES)
    except (dns.exception.DNSException, OSError) as error:
        raise DcsUnavailableError(f"etcd: SRV records of {domain}: {error}") from error
    raise DcsUnavailableError(f"etcd: {domain} has no SRV record of etcd{f' with the suffix {suffix}' if suffix else ''}")
