"""The sockets that the server listens on. Both families where the address names every interface (RFC 3493, 5.3)."""

import errno
import socket
from typing import Final

from hacore.config.address import HostPort

_NO_IPV6: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})  # the kernel can, the machine has none
_DEFAULT_QUEUE: Final = 5  # of the field ...
_QUEUE: Final = 128  # ... which loses checks that come in a burst: their clients try again only a second later
_IDLE_S: Final = 60
_INTERVAL_S: Final = 10


def listen(address: HostPort, *, backlog: int) -> tuple[socket.socket, ...]:
    """Listen on every address that the host stands for. The field's default backlog is widened, any other is taken as it is.

    :raises OSError: none can be bound, or one of several cannot.
    """
    backlog = _QUEUE if backlog == _DEFAULT_QUEUE else backlog
    if address.is_wildcard() and address.host != "0.0.0.0" and socket.has_dualstack_ipv6():  # noqa: S104 - what was configured
        try:
            return (_bound(socket.AF_INET6, ("::", address.port), backlog, both_families=True),)
        except OSError as error:
            if error.errno not in _NO_IPV6:
                raise
    host = "0.0.0.0" if address.is_wildcard() else address.host  # noqa: S104 - what was configured
    bound: list[socket.socket] = []
    try:
        for family, _, _, _, place in socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            bound.append(_bound(family, place, backlog))
    except OSError:
        for one in bound:
            one.close()
        raise
    return tuple(bound)


def _bound(family: int, place: tuple[object, ...], backlog: int, *, both_families: bool = False) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted connections inherit these (tcp(7)): the kernel notices clients that are gone.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE_S)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _INTERVAL_S)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both_families else 1)
        made.bind(place)
        made.listen(backlog)
        made.settimeout(0)
    except OSError:
        made.close()
        raise
    return made
