"""Who may change anything (interface reference 4.5): allowlist, client certificate, user and password, in this order."""

import base64
import hmac
import ipaddress
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from hacore.api.request import Peer
from hacore.config.settings import RestApiSettings

REALM: Final = "Patroni"  # clients of the field may have stored their password under it
_MEMBERS_S: Final = 60.0

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """No, with this status and text."""

    status: int
    text: str
    challenge: str | None = None  # for ``WWW-Authenticate``


class Access:
    """The rules of one configuration. Name look-ups may block: only threads that may wait call it."""

    def __init__(self, settings: RestApiSettings, members: Callable[[], Iterable[str]]) -> None:
        self._settings = settings
        self._members = members
        self._credentials = _encoded(settings)
        self._listed: frozenset[Network] | None = None
        self._members_found: tuple[float, tuple[str, ...], frozenset[Network]] = (0.0, (), frozenset())

    def denied(self, peer: Peer, authorization: str | None, *, from_member: bool = False) -> Denied | None:
        """Return why a request that changes something is refused; ``None``: it may go on.

        :param from_member: a request of one member to another, which the list of members does not bind.
        """
        if not self._is_listed(peer, from_member=from_member):
            return Denied(status=403, text="Access is denied")
        if peer.is_tls and self._settings.verify_client in {"optional", "required"} and not peer.has_certificate:
            return Denied(status=403, text="client certificate required")
        if self._credentials is None:
            return None
        challenge = f'Basic realm="{REALM}"'
        if not authorization:
            return Denied(status=401, text="no auth header received", challenge=challenge)
        if not _is_same(authorization, self._credentials):
            return Denied(status=401, text="not authenticated", challenge=challenge)
        return None

    def _is_listed(self, peer: Peer, *, from_member: bool) -> bool:
        settings = self._settings
        binds_members = settings.allowlist_include_members and not from_member
        if not settings.allowlist and not binds_members:
            return True
        address = _address(peer.host)
        return any(address in network for network in self._allowed()) or (
            binds_members and any(address in one for one in self._of_members())
        )

    def _allowed(self) -> frozenset[Network]:
        if self._listed is None:
            self._listed = frozenset(_resolved(self._settings.allowlist))
        return self._listed

    def _of_members(self) -> frozenset[Network]:
        found_at, hosts, networks = self._members_found
        wanted = tuple(self._members())
        if wanted != hosts or time.monotonic() - found_at > _MEMBERS_S:
            networks = frozenset(_resolved(wanted))
            self._members_found = (time.monotonic(), wanted, networks)
        return networks


def _encoded(settings: RestApiSettings) -> bytes | None:
    found = settings.authentication
    return None if found is None else base64.b64encode(f"{found.username}:{found.password}".encode())


def _is_same(authorization: str, wanted: bytes) -> bool:
    scheme, _, sent = authorization.partition(" ")
    return scheme.lower() == "basic" and hmac.compare_digest(sent.strip().encode("latin-1", "replace"), wanted)


def _address(host: str) -> Address:
    found = ipaddress.ip_address(host.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None  # a client of IPv4 on a socket for both
    return mapped or found


def _resolved(entries: Iterable[str]) -> Iterable[Network]:
    for entry in entries:
        try:
            yield ipaddress.ip_network(entry, strict=False)
        except ValueError:
            yield from _by_name(entry)


def _by_name(name: str) -> Iterable[Network]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # a name that means nothing lets nobody in
        return
    for _, _, _, _, place in found:
        yield ipaddress.ip_network(str(place[0]).partition("%")[0])
