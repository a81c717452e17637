"""Hosts in a connection string: names to addresses, before libpq looks them up.

libpq does so without a limit, and psycopg2 lets no other thread of the process run meanwhile: the loop could not renew its lease.
"""

import ipaddress
from collections.abc import Mapping

from hacore.http.resolver import Resolver
from hacore.model.clock import Instant

_ANY_PORT = 0


def with_addresses(words: Mapping[str, str], resolver: Resolver, *, until: Instant) -> Mapping[str, str]:
    """Return the words with an address beside each name, which stays for certificates. A name of several has each of them in turn.

    :raises OSError: there is no such name, or nobody said in time.
    """
    hosts, ports = words["host"].split(","), words["port"].split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    if words.get("hostaddr") or len(hosts) != len(ports):  # the second libpq refuses without a look-up
        return words
    places = [(host, address, port) for host, port in zip(hosts, ports, strict=True) for address in _addresses(host, resolver, until)]
    host, address, port = (",".join(column) for column in zip(*places, strict=True))
    return {**words, "host": host, "hostaddr": address, "port": port}


def is_loopback(host: str) -> bool:
    """Tell whether a host is the machine of whoever reads its name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.startswith(("/", "@")) or host == "localhost"


def is_one_machine(own: str, peer: str) -> bool:
    """Tell whether the addresses of a connection's ends are of the same machine."""
    return own == peer or is_loopback(peer)


def _addresses(host: str, resolver: Resolver, until: Instant) -> list[str]:
    """Return nothing but one empty address for what is no name: the directory of a socket, or libpq's default."""
    if not host or host.startswith(("/", "@")):
        return [""]
    return [str(address[0]) for _, address in resolver.addresses(host, _ANY_PORT, until=until)]
